#include "auto_scan.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vigie/log.h"
#include "vigie/name_table.h"

enum {
	FILES_MAX = 65536 /* zones of one folder; further files are left out */
};

struct scan {
	struct auto_folder *folder;
	const struct auto_table *old;
	struct auto_table *table;
	size_t capacity;
};

static const struct vigie_name *origin_of(const void *zone)
{
	return &((const struct auto_zone *)zone)->origin;
}

const struct auto_zone *auto_table_get(const struct auto_table *table, const uint8_t *origin, size_t length)
{
	if (!table)
		return NULL;
	return vigie_name_table_get(table->zones, table->count, sizeof(table->zones[0]), origin_of, origin,
				    length);
}

const struct auto_zone *auto_table_find(const struct auto_table *table, const struct vigie_name *name)
{
	for (unsigned label = 0; label <= name->labels; label++) {
		size_t offset = name->offset[label];
		const struct auto_zone *zone =
			auto_table_get(table, name->bytes + offset, name->length - offset);

		if (zone && zone->zone)
			return zone;
	}
	return NULL;
}

void auto_table_free(struct auto_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->count; i++) {
		vigie_zone_unref(table->zones[i].zone);
		free(table->zones[i].path);
		free(table->zones[i].trouble);
	}
	free(table);
}

static struct auto_zone *add_zone(struct scan *scan)
{
	size_t count = scan->table->count;

	if (count == scan->capacity) {
		size_t capacity = scan->capacity ? 2 * scan->capacity : 16;
		struct auto_table *table =
			realloc(scan->table, sizeof(*table) + capacity * sizeof(table->zones[0]));

		if (!table)
			return NULL;
		scan->table = table;
		scan->capacity = capacity;
	}
	memset(&scan->table->zones[count], 0, sizeof(scan->table->zones[0]));
	scan->table->count++;
	return &scan->table->zones[count];
}

/* A file that was met earlier in this scan for the same origin. */
static const struct auto_zone *find_earlier(const struct scan *scan, const struct vigie_name *origin)
{
	for (size_t i = 0; i < scan->table->count; i++) {
		if (vigie_name_equal(scan->table->zones[i].origin.bytes, origin->bytes))
			return &scan->table->zones[i];
	}
	return NULL;
}

/* Reads the file, or takes over what the table before has. */
static void load(struct auto_zone *zone, const struct auto_zone *old)
{
	char origin[VIGIE_NAME_TEXT_MAX];
	struct vigie_error error = {""};
	struct vigie_soa soa;
	enum vigie_status status;

	if (old && old->zone)
		vigie_zone_soa(old->zone, &soa);
	status = vigie_zone_read(&zone->zone, zone->path, &zone->origin,
				 old && old->zone ? &soa.serial : NULL, &error);
	vigie_name_to_text(zone->origin.bytes, origin);
	if (status == VIGIE_OK) {
		vigie_zone_soa(zone->zone, &soa);
		zone->changed = true;
		vigie_log(VIGIE_LOG_INFO, "auto",
			  old && old->zone ? "Successfully reloaded zone \"%s\" in \"%s\" with %" PRIu32
					     " SOA serial"
					   : "Inserting zone \"%s\" from: %s with %" PRIu32 " SOA serial",
			  origin, zone->path, soa.serial);
		return;
	}
	if (old && old->zone)
		zone->zone = vigie_zone_ref(old->zone);
	if (status == VIGIE_EEXIST)
		return;
	zone->trouble = strdup(error.text);
	if (!old || !old->trouble || strcmp(old->trouble, error.text) != 0)
		vigie_log(VIGIE_LOG_ERROR, "auto", "Zone \"%s\": %s", origin, error.text);
}

/* Takes one file. False when memory is out. */
static bool take_file(struct scan *scan, const char *path, const char *base)
{
	char text[VIGIE_NAME_TEXT_MAX];
	struct regex_groups groups;
	const struct auto_zone *earlier;
	struct vigie_name origin;
	struct auto_zone *zone;

	if (!regex_match(scan->folder->pattern, base, strlen(base), &groups) ||
	    !regex_fill(scan->folder->origin, &groups, text, sizeof(text)) ||
	    vigie_name_from_text(&origin, text) != VIGIE_OK)
		return true;
	earlier = find_earlier(scan, &origin);
	if (earlier || scan->table->count == FILES_MAX) {
		vigie_log(VIGIE_LOG_WARNING, "auto", "%s is left out: %s%s", path,
			  earlier ? "the same zone comes from " : "there are too many files",
			  earlier ? earlier->path : "");
		return true;
	}
	zone = add_zone(scan);
	if (!zone)
		return false;
	zone->origin = origin;
	zone->path = strdup(path);
	if (!zone->path)
		return false;
	load(zone, auto_table_get(scan->old, origin.bytes, origin.length));
	return true;
}

static int compare_entries(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static bool is_file(const FTSENT *entry)
{
	struct stat file;

	if (entry->fts_info == FTS_F)
		return true;
	return entry->fts_info == FTS_SL && stat(entry->fts_accpath, &file) == 0 && S_ISREG(file.st_mode);
}

/* Zones whose files are gone. */
static void tell_of_deleted(const struct scan *scan)
{
	char origin[VIGIE_NAME_TEXT_MAX];

	for (size_t i = 0; scan->old && i < scan->old->count; i++) {
		const struct auto_zone *zone = &scan->old->zones[i];

		if (zone->zone && !auto_table_get(scan->table, zone->origin.bytes, zone->origin.length))
			vigie_log(VIGIE_LOG_INFO, "auto", "Deleting zone \"%s\"",
				  vigie_name_to_text(zone->origin.bytes, origin));
	}
}

struct auto_table *auto_scan(struct auto_folder *folder, const struct auto_table *old)
{
	char *paths[] = {(char *)(uintptr_t)folder->path, NULL};
	struct scan scan = {.folder = folder, .old = old, .table = calloc(1, sizeof(struct auto_table))};
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, compare_entries);
	bool good = scan.table && tree;
	FTSENT *entry;

	while (good && (entry = fts_read(tree)) != NULL) {
		if (entry->fts_info == FTS_D && entry->fts_level > 0 && entry->fts_name[0] == '.')
			fts_set(tree, entry, FTS_SKIP); /* a ConfigMap's own folders among them */
		else if (is_file(entry))
			good = take_file(&scan, entry->fts_path, entry->fts_name);
		good = good && !atomic_load(&folder->stop);
	}
	if (tree)
		fts_close(tree);
	if (!good) {
		auto_table_free(scan.table);
		return NULL;
	}
	vigie_name_table_sort(scan.table->zones, scan.table->count, sizeof(scan.table->zones[0]), origin_of);
	tell_of_deleted(&scan);
	return scan.table;
}

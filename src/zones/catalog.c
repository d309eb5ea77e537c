/* Reading a catalog zone: one pass over its records, in which those of a member stand one behind another. */
#include "vigie/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "vigie/name_table.h"
#include "zone.h"

static const uint8_t version_label[] = "\7version";
static const uint8_t zones_label[] = "\5zones";
static const uint8_t coo_label[] = "\3coo";
static const uint8_t version_text[] = "\1"
				      "2";

struct reader {
	const struct vigie_name *origin;
	struct vigie_catalog *catalog;
	size_t capacity;
	size_t versions;
	bool version_known;
	bool has_ns;
	struct vigie_error *error;
};

static bool broken(struct reader *reader, const char *what, const uint8_t *owner)
{
	char text[VIGIE_NAME_TEXT_MAX];

	vigie_error_set(reader->error, VIGIE_EINVAL, "the catalog is broken: '%.256s' %s",
			vigie_name_to_text(owner, text), what);
	return false;
}

static bool no_memory(struct reader *reader)
{
	vigie_error_memory(reader->error);
	return false;
}

static struct vigie_catalog_member *last_member(struct vigie_catalog *catalog, const uint8_t *id)
{
	struct vigie_catalog_member *last = catalog->count > 0 ? &catalog->members[catalog->count - 1] : NULL;

	return last && memcmp(last->id, id, 1U + id[0]) == 0 ? last : NULL;
}

static bool add_member(struct reader *reader, const uint8_t *id, const struct vigie_zone_record *record)
{
	struct vigie_catalog *catalog = reader->catalog;
	struct vigie_catalog_member *member;

	if (last_member(catalog, id))
		return broken(reader, "names more than one zone", record->owner);
	if (catalog->count == VIGIE_CATALOG_MEMBERS_MAX) {
		vigie_error_set(reader->error, VIGIE_ENOSPC, "the catalog has more than %d members",
				VIGIE_CATALOG_MEMBERS_MAX);
		return false;
	}
	if (catalog->count == reader->capacity) {
		size_t capacity = reader->capacity * 2;

		catalog = realloc(catalog, sizeof(*catalog) + capacity * sizeof(*member));
		if (!catalog)
			return no_memory(reader);
		reader->catalog = catalog;
		reader->capacity = capacity;
	}
	member = &catalog->members[catalog->count];
	memset(member, 0, sizeof(*member));
	if (vigie_name_from_wire(&member->origin, record->rdata, record->rdlength))
		return broken(reader, "is malformed", record->owner);
	memcpy(member->id, id, 1U + id[0]);
	catalog->count++;
	return true;
}

/* A property of the member whose node was passed just before: canonical order has it so. One of a node that
 * names no zone says nothing. */
static bool add_owner_to_be(struct reader *reader, const uint8_t *id, const struct vigie_zone_record *record)
{
	struct vigie_catalog_member *member = last_member(reader->catalog, id);
	struct vigie_name name;

	if (!member)
		return true;
	if (member->owner_to_be)
		return broken(reader, "names more than one catalog", record->owner);
	if (vigie_name_from_wire(&name, record->rdata, record->rdlength))
		return broken(reader, "is malformed", record->owner);
	member->owner_to_be = malloc(name.length);
	if (!member->owner_to_be)
		return no_memory(reader);
	memcpy(member->owner_to_be, name.bytes, name.length);
	return true;
}

static bool take(struct reader *reader, const struct vigie_zone_record *record)
{
	struct vigie_name owner;
	unsigned depth;

	if (vigie_name_from_wire(&owner, record->owner, VIGIE_NAME_MAX))
		return broken(reader, "is malformed", record->owner);
	depth = (unsigned)(owner.labels - reader->origin->labels);
	if (depth == 0 && record->type == VIGIE_TYPE_NS)
		reader->has_ns = true;
	if (depth == 1 && record->type == VIGIE_TYPE_TXT &&
	    memcmp(owner.bytes, version_label, sizeof(version_label) - 1) == 0) {
		reader->versions++;
		reader->version_known = record->rdlength == sizeof(version_text) - 1 &&
					memcmp(record->rdata, version_text, sizeof(version_text) - 1) == 0;
	}
	if (depth < 2 || record->type != VIGIE_TYPE_PTR ||
	    memcmp(owner.bytes + owner.offset[depth - 1], zones_label, sizeof(zones_label) - 1) != 0)
		return true;
	if (depth == 2)
		return add_member(reader, owner.bytes, record);
	if (depth == 3 && memcmp(owner.bytes, coo_label, sizeof(coo_label) - 1) == 0)
		return add_owner_to_be(reader, owner.bytes + owner.offset[1], record);
	return true;
}

static const struct vigie_name *origin_of(const void *member)
{
	return &((const struct vigie_catalog_member *)member)->origin;
}

static bool check(struct reader *reader)
{
	struct vigie_catalog *catalog = reader->catalog;

	if (!reader->has_ns)
		return broken(reader, "has no NS record", reader->origin->bytes);
	if (reader->versions != 1)
		return broken(reader, "has not exactly one version record", reader->origin->bytes);
	if (!reader->version_known)
		return broken(reader, "is not of version 2", reader->origin->bytes);
	vigie_name_table_sort(catalog->members, catalog->count, sizeof(*catalog->members), origin_of);
	for (size_t i = 1; i < catalog->count; i++) {
		if (vigie_name_equal(catalog->members[i - 1].origin.bytes, catalog->members[i].origin.bytes))
			return broken(reader, "is listed twice", catalog->members[i].origin.bytes);
	}
	return true;
}

struct vigie_catalog *vigie_catalog_read(const struct vigie_zone *zone, struct vigie_error *error)
{
	struct reader reader = {.origin = vigie_zone_origin(zone), .capacity = 16, .error = error};
	struct vigie_zone_walk walk = {0};
	struct vigie_zone_record record;
	bool more;

	reader.catalog =
		malloc(sizeof(*reader.catalog) + reader.capacity * sizeof(struct vigie_catalog_member));
	if (!reader.catalog) {
		no_memory(&reader);
		return NULL;
	}
	reader.catalog->count = 0;
	while ((more = vigie_zone_next(zone, &walk, &record)) && take(&reader, &record))
		continue;
	if (!more && check(&reader))
		return reader.catalog;
	vigie_catalog_free(reader.catalog);
	return NULL;
}

void vigie_catalog_free(struct vigie_catalog *catalog)
{
	for (size_t i = 0; catalog && i < catalog->count; i++)
		free(catalog->members[i].owner_to_be);
	free(catalog);
}

const struct vigie_catalog_member *vigie_catalog_get(const struct vigie_catalog *catalog,
						     const struct vigie_name *origin)
{
	if (!catalog)
		return NULL;
	return vigie_name_table_get(catalog->members, catalog->count, sizeof(*catalog->members), origin_of,
				    origin->bytes, origin->length);
}

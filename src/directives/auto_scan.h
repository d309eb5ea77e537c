/* The zones of a folder of master files, as `auto` finds them: an immutable table that a scan makes anew from
 * the one before. */
#ifndef VIGIE_DIRECTIVES_AUTO_SCAN_H
#define VIGIE_DIRECTIVES_AUTO_SCAN_H

#include <stdatomic.h>

#include "regex.h"
#include "vigie/zone.h"

struct auto_zone {
	struct vigie_name origin;
	char *path;
	struct vigie_zone *zone; /* NULL: its file cannot be read, and there was none before */
	char *trouble;           /* what was said of the file already; NULL: nothing */
	bool changed;            /* the zone is new since the table before */
};

struct auto_table {
	size_t count;
	struct auto_zone zones[]; /* sorted by origin */
};

/* Where to look, and which file is which zone. */
struct auto_folder {
	const char *path;
	const struct regex *pattern;
	const char *origin; /* with {1} for the pattern's first group */
	atomic_bool stop;   /* ends a scan early */
};

/* Looks into the folder and all below it, but for hidden ones. `old` may be NULL. A file that cannot be read
 * leaves its zone as it was in `old`. NULL: memory is out, or it was stopped. */
struct auto_table *auto_scan(struct auto_folder *folder, const struct auto_table *old);

void auto_table_free(struct auto_table *table);

/* The zone with the longest origin that the name is in; NULL: there is none. */
const struct auto_zone *auto_table_find(const struct auto_table *table, const struct vigie_name *name);

/* The zone with this origin. */
const struct auto_zone *auto_table_get(const struct auto_table *table, const uint8_t *origin, size_t length);

#endif

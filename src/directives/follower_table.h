/* The followers of a `secondary`, for workers to look in: immutable, sorted by origin. */
#ifndef VIGIE_DIRECTIVES_FOLLOWER_TABLE_H
#define VIGIE_DIRECTIVES_FOLLOWER_TABLE_H

#include "follower.h"

struct follower_table {
	size_t count;
	struct follower *list[];
};

/* With room for so many, none of which are there. NULL when memory is out. */
struct follower_table *follower_table_new(size_t capacity);

/* To be called when all are there. */
void follower_table_sort(struct follower_table *table);

/* The follower of the zone with this origin, a wire name; NULL: there is none. */
struct follower *follower_table_get(const struct follower_table *table, const uint8_t *origin, size_t length);

/* That of the zone with the longest origin that the name is in; NULL: there is none. */
struct follower *follower_table_find(const struct follower_table *table, const struct vigie_name *name);

#endif

#include "follower_table.h"

#include <stdlib.h>

#include "vigie/name_table.h"

struct follower_table *follower_table_new(size_t capacity)
{
	struct follower_table *table = malloc(sizeof(*table) + capacity * sizeof(*table->list));

	if (table)
		table->count = 0;
	return table;
}

static const struct vigie_name *origin_of(const void *element)
{
	return &(*(struct follower *const *)element)->zone.origin;
}

void follower_table_sort(struct follower_table *table)
{
	vigie_name_table_sort(table->list, table->count, sizeof(*table->list), origin_of);
}

struct follower *follower_table_get(const struct follower_table *table, const uint8_t *origin, size_t length)
{
	struct follower **found;

	if (!table)
		return NULL;
	found = vigie_name_table_get(table->list, table->count, sizeof(*table->list), origin_of, origin,
				     length);
	return found ? *found : NULL;
}

struct follower *follower_table_find(const struct follower_table *table, const struct vigie_name *name)
{
	for (unsigned label = 0; label <= name->labels; label++) {
		size_t offset = name->offset[label];
		struct follower *follower =
			follower_table_get(table, name->bytes + offset, name->length - offset);

		if (follower)
			return follower;
	}
	return NULL;
}

#include "follower_table.h"

#include <stdlib.h>

struct follower_table *follower_table_new(size_t capacity)
{
	struct follower_table *table = malloc(sizeof(*table) + capacity * sizeof(*table->list));

	if (table)
		table->count = 0;
	return table;
}

static int compare(const void *a, const void *b)
{
	const struct vigie_name *left = &(*(struct follower *const *)a)->zone.origin;
	const struct vigie_name *right = &(*(struct follower *const *)b)->zone.origin;

	return vigie_name_order(left->bytes, left->length, right->bytes, right->length);
}

void follower_table_sort(struct follower_table *table)
{
	qsort(table->list, table->count, sizeof(*table->list), compare);
}

struct follower *follower_table_get(const struct follower_table *table, const uint8_t *origin, size_t length)
{
	size_t low = 0;
	size_t high = table ? table->count : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct vigie_name *name = &table->list[middle]->zone.origin;
		int order = vigie_name_order(name->bytes, name->length, origin, length);

		if (order == 0)
			return table->list[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
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

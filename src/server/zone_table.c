#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "vigie/hash.h"

enum {
	FIRST_SLOTS = 16 /* a power of two; it doubles when it is half full */
};

struct slot {
	const struct vigie_key *key; /* NULL: free */
	const struct block *block;
};

struct zone_table {
	struct slot *slots;
	size_t mask; /* slots - 1 */
	size_t count;
	const struct slot *root;          /* the slot of ".", the usual only one: no hash is needed for it */
	uint8_t depths[VIGIE_LABELS_MAX]; /* the label counts that zones have, the longest first, 0 left out
					   */
	size_t depth_count;
};

struct zone_table *zone_table_new(void)
{
	struct zone_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->slots = calloc(FIRST_SLOTS, sizeof(*table->slots));
	if (!table->slots) {
		free(table);
		return NULL;
	}
	table->mask = FIRST_SLOTS - 1;
	return table;
}

void zone_table_free(struct zone_table *table)
{
	if (!table)
		return;
	free(table->slots);
	free(table);
}

/* The zone's slot, or the free one where it belongs. */
static struct slot *find_slot(const struct zone_table *table, const uint8_t *zone, size_t length)
{
	size_t at = (size_t)vigie_hash(zone, length) & table->mask;

	for (;; at = (at + 1) & table->mask) {
		struct slot *slot = &table->slots[at];

		if (!slot->key ||
		    (slot->key->zone.length == length && memcmp(slot->key->zone.bytes, zone, length) == 0))
			return slot;
	}
}

static enum vigie_status grow(struct zone_table *table)
{
	struct slot *old = table->slots;
	size_t slots = table->mask + 1;

	table->slots = calloc(slots * 2, sizeof(*table->slots));
	if (!table->slots) {
		table->slots = old;
		return VIGIE_ENOMEM;
	}
	table->mask = slots * 2 - 1;
	for (size_t i = 0; i < slots; i++) {
		struct slot *slot;

		if (!old[i].key)
			continue;
		slot = find_slot(table, old[i].key->zone.bytes, old[i].key->zone.length);
		*slot = old[i];
		if (old[i].key->zone.labels == 0)
			table->root = slot;
	}
	free(old);
	return VIGIE_OK;
}

static void add_depth(struct zone_table *table, uint8_t labels)
{
	size_t at = 0;

	while (at < table->depth_count && table->depths[at] > labels)
		at++;
	if (at < table->depth_count && table->depths[at] == labels)
		return;
	memmove(table->depths + at + 1, table->depths + at, table->depth_count - at);
	table->depths[at] = labels;
	table->depth_count++;
}

enum vigie_status zone_table_add(struct zone_table *table, const struct vigie_key *key,
				 const struct block *block, const struct vigie_key **first)
{
	struct slot *slot;

	*first = zone_table_find(table, &key->zone);
	if (*first)
		return VIGIE_EEXIST;
	if ((table->count + 1) * 2 > table->mask + 1 && grow(table))
		return VIGIE_ENOMEM;
	slot = find_slot(table, key->zone.bytes, key->zone.length);
	*slot = (struct slot){.key = key, .block = block};
	table->count++;
	if (key->zone.labels == 0)
		table->root = slot;
	else
		add_depth(table, key->zone.labels);
	return VIGIE_OK;
}

const struct vigie_key *zone_table_find(const struct zone_table *table, const struct vigie_name *zone)
{
	return find_slot(table, zone->bytes, zone->length)->key;
}

const struct block *zone_table_get(const struct zone_table *table, const struct vigie_name *name)
{
	for (size_t i = 0; i < table->depth_count; i++) {
		const struct slot *slot;
		size_t at;

		if (table->depths[i] > name->labels)
			continue;
		at = name->offset[name->labels - table->depths[i]];
		slot = find_slot(table, name->bytes + at, name->length - at);
		if (slot->key)
			return slot->block;
	}
	return table->root ? table->root->block : NULL;
}

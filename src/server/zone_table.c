#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "vigie/hash.h"

enum {
	FIRST_SLOTS = 16 /* a power of two; it doubles when it is half full */
};

/* A block that shares its zone with others. */
struct also {
	struct also *next;
	const struct block *block;
};

struct slot {
	const struct vigie_key *key; /* NULL: free */
	const struct block *block;
	struct also *also; /* blocks that have the zone, too: all before the last have views */
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
	for (size_t i = 0; i <= table->mask; i++) {
		while (table->slots[i].also) {
			struct also *also = table->slots[i].also;

			table->slots[i].also = also->next;
			free(also);
		}
	}
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

/* One more block for a zone that is there. */
static enum vigie_status add_also(struct slot *slot, const struct block *block)
{
	const struct block *last = slot->block;
	struct also **end = &slot->also;

	for (; *end; end = &(*end)->next)
		last = (*end)->block;
	if (!last->setup.view_holds)
		return VIGIE_EEXIST;
	*end = calloc(1, sizeof(**end));
	if (!*end)
		return VIGIE_ENOMEM;
	(*end)->block = block;
	return VIGIE_OK;
}

enum vigie_status zone_table_add(struct zone_table *table, const struct vigie_key *key,
				 const struct block *block, const struct vigie_key **first)
{
	struct slot *slot;

	*first = zone_table_find(table, &key->zone);
	if (*first) {
		enum vigie_status status =
			add_also(find_slot(table, key->zone.bytes, key->zone.length), block);

		if (!status)
			*first = NULL;
		return status;
	}
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

/* The zone of this many labels that the name is in; NULL when there is none. */
static inline __attribute__((always_inline)) const struct slot *
find_above(const struct zone_table *table, const struct vigie_name *name, unsigned labels)
{
	const struct slot *slot;
	size_t at;

	if (labels > name->labels)
		return NULL;
	at = name->offset[name->labels - labels];
	slot = find_slot(table, name->bytes + at, name->length - at);
	return slot->key ? slot : NULL;
}

const struct block *zone_table_get(const struct zone_table *table, const struct vigie_name *name)
{
	for (size_t i = 0; i < table->depth_count; i++) {
		const struct slot *slot = find_above(table, name, table->depths[i]);

		if (slot)
			return slot->block;
	}
	return table->root ? table->root->block : NULL;
}

const struct block *zone_table_only(const struct zone_table *table)
{
	const struct slot *root = table->root;

	return table->depth_count == 0 && root && !root->block->setup.view_holds ? root->block : NULL;
}

static bool is_for(const struct block *block, bool (*takes)(const struct block *block, void *argument),
		   void *argument)
{
	return !block->setup.view_holds || takes(block, argument);
}

static const struct block *select_of(const struct slot *slot,
				     bool (*takes)(const struct block *block, void *argument), void *argument)
{
	if (is_for(slot->block, takes, argument))
		return slot->block;
	for (const struct also *also = slot->also; also; also = also->next) {
		if (is_for(also->block, takes, argument))
			return also->block;
	}
	return NULL;
}

const struct block *zone_table_select(const struct zone_table *table, const struct vigie_name *name,
				      bool (*takes)(const struct block *block, void *argument),
				      void *argument)
{
	for (size_t i = 0; i < table->depth_count; i++) {
		const struct slot *slot = find_above(table, name, table->depths[i]);
		const struct block *block = slot ? select_of(slot, takes, argument) : NULL;

		if (block)
			return block;
	}
	return table->root ? select_of(table->root, takes, argument) : NULL;
}

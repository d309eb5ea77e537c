#include "reverse.h"

#include "table.h"
#include "vigie/hash.h"

/* A slot holds 15 bits of the address' hash, 48 bits of the entry's address and whether it is a cluster
 * address. An address of 52 bits, aligned to 16 bytes as malloc gives it, fits: no system hands out more
 * unless it is asked to. */
enum {
	SLOTS_MIN = 64,
	TAG_SHIFT = 49,
	ENTRY_SHIFT = 3,  /* the entry's address without its four lowest bits stands above the flag */
	LOAD_PERCENT = 75 /* slots in use, at most; a new table begins with two slots for each pair */
};

static const uint64_t slot_empty = 0;
static const uint64_t slot_gone = 1; /* a pair was removed: the search goes on behind it */
static const uint64_t slot_cluster = 1;
static const uint64_t slot_entry = ((UINT64_C(1) << TAG_SHIFT) - 1) & ~UINT64_C(1);

struct reverse {
	uint32_t size;
	uint32_t live; /* the writer's, as the next */
	uint32_t used; /* live pairs and slots that are gone */
	uint64_t slots[];
};

static uint32_t first_slot(const struct reverse *table, uint64_t hash)
{
	return (uint32_t)((hash & UINT32_MAX) * table->size >> 32);
}

static uint32_t next_slot(const struct reverse *table, uint32_t at)
{
	return at + 1 == table->size ? 0 : at + 1;
}

static uint64_t make_slot(uint64_t hash, const struct entry *entry, bool cluster)
{
	return (hash >> TAG_SHIFT << TAG_SHIFT) | (uint64_t)(uintptr_t)entry >> ENTRY_SHIFT | cluster;
}

void vigie_reverse_begin(struct reverse_walk *walk, const struct vigie_records *records,
			 const uint8_t *address)
{
	uint64_t hash = vigie_hash(address, 16);

	walk->table = __atomic_load_n(&records->reverse, __ATOMIC_ACQUIRE);
	walk->tag = hash >> TAG_SHIFT;
	walk->at = walk->table ? first_slot(walk->table, hash) : 0;
}

const struct entry *vigie_reverse_next(struct reverse_walk *walk, bool *cluster)
{
	while (walk->table) {
		uint64_t slot = __atomic_load_n(&walk->table->slots[walk->at], __ATOMIC_ACQUIRE);

		if (slot == slot_empty)
			return NULL;
		walk->at = next_slot(walk->table, walk->at);
		if (slot == slot_gone || slot >> TAG_SHIFT != walk->tag)
			continue;
		*cluster = slot & slot_cluster;
		return (const struct entry *)(uintptr_t)((slot & slot_entry) << ENTRY_SHIFT);
	}
	return NULL;
}

static void add(struct reverse *table, const struct entry *entry, const uint8_t *address, bool cluster)
{
	uint64_t hash = vigie_hash(address, 16);
	uint32_t at = first_slot(table, hash);

	while (table->slots[at] > slot_gone)
		at = next_slot(table, at);
	table->used += table->slots[at] == slot_empty;
	table->live++;
	__atomic_store_n(&table->slots[at], make_slot(hash, entry, cluster), __ATOMIC_RELEASE);
}

static void add_all(struct reverse *table, const struct entry *entry)
{
	uint8_t address[16];
	bool cluster;

	for (uint32_t at = 0; vigie_blob_next_address(entry->blob, &at, address, &cluster);)
		add(table, entry, address, cluster);
}

enum vigie_status vigie_reverse_reserve(struct vigie_records *records, size_t more)
{
	struct reverse *old = records->reverse;
	uint64_t live = (old ? old->live : 0) + more;
	uint64_t used = (old ? old->used : 0) + more;
	uint64_t size = live * 2 > SLOTS_MIN ? live * 2 : SLOTS_MIN;
	struct cds_lfht_iter iter;
	struct entry *entry;
	struct reverse *table;

	if (old && used * 100 <= (uint64_t)old->size * LOAD_PERCENT && old->size <= size * 4)
		return VIGIE_OK;
	if (size > UINT32_MAX)
		return VIGIE_ENOMEM;
	table = vigie_piece_new(records, VIGIE_BYTES_ADDRESSES,
				sizeof(*table) + size * sizeof(*table->slots));
	if (!table)
		return VIGIE_ENOMEM;
	table->size = (uint32_t)size;
	cds_lfht_for_each_entry(records->services, &iter, entry, node) add_all(table, entry);
	__atomic_store_n(&records->reverse, table, __ATOMIC_RELEASE);
	vigie_piece_retire(records, VIGIE_BYTES_ADDRESSES, old);
	return VIGIE_OK;
}

void vigie_reverse_add(struct vigie_records *records, const struct entry *entry, const uint8_t *address,
		       bool cluster)
{
	add(records->reverse, entry, address, cluster);
}

void vigie_reverse_remove(struct vigie_records *records, const struct entry *entry, const uint8_t *address,
			  bool cluster)
{
	struct reverse *table = records->reverse;
	uint64_t hash = vigie_hash(address, 16);
	uint64_t wanted = make_slot(hash, entry, cluster);
	uint32_t at = first_slot(table, hash);

	while (table->slots[at] != wanted) {
		if (table->slots[at] == slot_empty)
			return;
		at = next_slot(table, at);
	}
	table->live--;
	__atomic_store_n(&table->slots[at], slot_gone, __ATOMIC_RELEASE);
	/* Before an empty slot no search goes on anyway: slots that are gone need not say so. */
	while (table->slots[at] == slot_gone && table->slots[next_slot(table, at)] == slot_empty) {
		__atomic_store_n(&table->slots[at], slot_empty, __ATOMIC_RELEASE);
		table->used--;
		at = at == 0 ? table->size - 1 : at - 1;
	}
}

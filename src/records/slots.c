#include "slots.h"

#include "table.h"

enum {
	SLOTS_MIN = 64,
	LOAD_PERCENT = 75 /* slots in use, at most; a new table begins with two slots for each entry */
};

static uint64_t make_word(uint64_t hash, const void *piece, bool flag)
{
	return (hash >> SLOT_TAG_SHIFT << SLOT_TAG_SHIFT) | (uint64_t)(uintptr_t)piece >> SLOT_PIECE_SHIFT |
	       flag;
}

void *slots_each(const struct slots *table, uint32_t *at)
{
	while (table && *at < table->size) {
		uint64_t word = __atomic_load_n(&table->words[(*at)++], __ATOMIC_ACQUIRE);

		if (word > SLOT_GONE)
			return slots_piece(word);
	}
	return NULL;
}

void *slots_find(struct slots *const *table, const uint8_t *key, size_t length, slots_key *key_of)
{
	struct slots_walk walk;
	void *piece;
	bool flag;

	slots_begin(&walk, table, vigie_hash(key, length));
	while ((piece = slots_next(&walk, &flag)) != NULL) {
		size_t its_length;
		const uint8_t *its = key_of(piece, &its_length);

		if (its_length == length && memcmp(its, key, length) == 0)
			return piece;
	}
	return NULL;
}

enum vigie_status slots_reserve(struct vigie_records *records, struct slots **table, enum vigie_bytes bytes,
				size_t more, slots_fill *fill)
{
	struct slots *old = *table;
	uint64_t live = (old ? old->live : 0) + more;
	uint64_t used = (old ? old->used : 0) + more;
	uint64_t size = live * 2 > SLOTS_MIN ? live * 2 : SLOTS_MIN;
	struct slots *slots;

	if (old && used * 100 <= (uint64_t)old->size * LOAD_PERCENT && old->size <= size * 4)
		return VIGIE_OK;
	if (size > UINT32_MAX)
		return VIGIE_ENOMEM;
	slots = vigie_piece_new(records, bytes, sizeof(*slots) + size * sizeof(*slots->words));
	if (!slots)
		return VIGIE_ENOMEM;
	slots->size = (uint32_t)size;
	fill(records, old, slots);
	__atomic_store_n(table, slots, __ATOMIC_RELEASE);
	vigie_piece_retire(records, bytes, old);
	return VIGIE_OK;
}

uint64_t slots_hash(const void *piece, slots_key *key_of)
{
	size_t length;
	const uint8_t *key = key_of(piece, &length);

	return vigie_hash(key, length);
}

void slots_copy(const struct slots *old, struct slots *fresh, slots_key *key_of)
{
	const void *piece;

	for (uint32_t at = 0; (piece = slots_each(old, &at)) != NULL;)
		slots_add(fresh, slots_hash(piece, key_of), piece, false);
}

void slots_add(struct slots *table, uint64_t hash, const void *piece, bool flag)
{
	uint32_t at = slots_first(table, hash);

	while (table->words[at] > SLOT_GONE)
		at = slots_after(table, at);
	table->used += table->words[at] == SLOT_EMPTY;
	table->live++;
	__atomic_store_n(&table->words[at], make_word(hash, piece, flag), __ATOMIC_RELEASE);
}

void slots_remove(struct slots *table, uint64_t hash, const void *piece, bool flag)
{
	uint64_t wanted = make_word(hash, piece, flag);
	uint32_t at = slots_first(table, hash);

	while (table->words[at] != wanted) {
		if (table->words[at] == SLOT_EMPTY)
			return;
		at = slots_after(table, at);
	}
	table->live--;
	__atomic_store_n(&table->words[at], SLOT_GONE, __ATOMIC_RELEASE);
	/* Before an empty slot no search goes on anyway: slots that are gone need not say so. */
	while (table->words[at] == SLOT_GONE && table->words[slots_after(table, at)] == SLOT_EMPTY) {
		__atomic_store_n(&table->words[at], SLOT_EMPTY, __ATOMIC_RELEASE);
		table->used--;
		at = at == 0 ? table->size - 1 : at - 1;
	}
}

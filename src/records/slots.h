/* Open-addressed tables of pieces of memory: one word for each place, which holds a part of the hash, the
 * piece's address and a flag. What a piece is found by stands in the piece (or, for an entry, in its blob)
 * alone, which the reader looks at anyway. Readers are RCU; the writer replaces the whole table when it is
 * too small, too empty or too worn. */
#ifndef SLOTS_H
#define SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/records.h"
#include "vigie/status.h"

struct vigie_records;

struct slots {
	uint32_t size;
	uint32_t live; /* the writer's, as the next */
	uint32_t used; /* live slots and those that are gone */
	uint64_t words[];
};

/* A word holds 15 bits of the hash, 48 bits of the piece's address and the flag. An address of 52 bits,
 * aligned to 16 bytes as malloc gives it, fits: no system hands out more unless it is asked to. */
enum {
	SLOT_TAG_SHIFT = 49,
	SLOT_PIECE_SHIFT = 3 /* the piece's address without its four lowest bits stands above the flag */
};

enum {
	SLOT_EMPTY = 0,
	SLOT_GONE = 1, /* something was removed: the search goes on behind it */
	SLOT_FLAG = 1
};

/* A walk over the pieces that may have a hash. */
struct slots_walk {
	const struct slots *table;
	uint64_t tag;
	uint32_t at; /* the next slot */
};

static inline uint32_t slots_first(const struct slots *table, uint64_t hash)
{
	return (uint32_t)((hash & UINT32_MAX) * table->size >> 32);
}

static inline uint32_t slots_after(const struct slots *table, uint32_t at)
{
	return at + 1 == table->size ? 0 : at + 1;
}

static inline void *slots_piece(uint64_t word)
{
	const uint64_t tag = UINT64_MAX << SLOT_TAG_SHIFT;

	return (void *)(uintptr_t)((word & ~tag & ~(uint64_t)SLOT_FLAG) << SLOT_PIECE_SHIFT);
}

/* `table` is where the table is published; NULL there is an empty one. */
static inline void slots_begin(struct slots_walk *walk, struct slots *const *table, uint64_t hash)
{
	walk->table = __atomic_load_n(table, __ATOMIC_ACQUIRE);
	walk->tag = hash >> SLOT_TAG_SHIFT;
	walk->at = walk->table ? slots_first(walk->table, hash) : 0;
}

/* The next piece that may be meant; NULL at the end. */
static inline void *slots_next(struct slots_walk *walk, bool *flag)
{
	uint64_t word = SLOT_EMPTY;

	if (!walk->table)
		return NULL;
	do {
		word = __atomic_load_n(&walk->table->words[walk->at], __ATOMIC_ACQUIRE);
		walk->at = slots_after(walk->table, walk->at);
		/* What is neither empty nor gone has a piece of an address: more than the tag and the flag.
		 */
		if (word >> SLOT_TAG_SHIFT == walk->tag && word > SLOT_GONE) {
			*flag = word & SLOT_FLAG;
			return slots_piece(word);
		}
	} while (word != SLOT_EMPTY);
	return NULL;
}

/* The key that stands in a piece, and by whose hash it is found. */
typedef const uint8_t *slots_key(const void *piece, size_t *length);

/* The piece with this key; NULL when there is none. */
void *slots_find(struct slots *const *table, const uint8_t *key, size_t length, slots_key *key_of);

/* All pieces, in no order: `at` is 0 at first. NULL at the end. Pieces may be removed on the way. */
void *slots_each(const struct slots *table, uint32_t *at);

/* The writer's part. */

/* Fills a table that is built anew with what is in the old one (NULL: nothing). */
typedef void slots_fill(const struct vigie_records *records, const struct slots *old, struct slots *fresh);

/* Makes room for `more` additions. A table that is built anew is filled and then published at `table`. Its
 * bytes are counted as `bytes`. VIGIE_ENOMEM. */
enum vigie_status slots_reserve(struct vigie_records *records, struct slots **table, enum vigie_bytes bytes,
				size_t more, slots_fill *fill);

/* What a table of pieces with keys is filled with. */
void slots_copy(const struct slots *old, struct slots *fresh, slots_key *key_of);
uint64_t slots_hash(const void *piece, slots_key *key_of);

/* Adds a piece that is not there, for which room was reserved. */
void slots_add(struct slots *table, uint64_t hash, const void *piece, bool flag);
void slots_remove(struct slots *table, uint64_t hash, const void *piece, bool flag);

#endif

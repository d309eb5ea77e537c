#include "index.h"

#include <stdlib.h>
#include <string.h>

#include "store.h"

/* A word has half of a hash above, and below the entry's place in units of ENTRY_ALIGN, counted from 1. */
enum { WORD_EMPTY = 0, TAG_SHIFT = 32 };

struct bucket {
	uint64_t words[INDEX_BUCKET];
} __attribute__((aligned(INDEX_BUCKET_SIZE)));

struct index {
	struct rcu_head rcu;
	uint32_t count; /* of buckets; it and the next stay as they are */
	uint32_t count_max;
	uint32_t used;  /* the writer's: places that are taken */
	uint32_t moves; /* atomic: entries that went from one of their buckets to the other */
	struct bucket buckets[];
};

/* The two buckets of a tag, which may be one. */
struct homes {
	uint32_t at[2];
};

static struct homes homes_of(const struct index *index, uint32_t tag)
{
	const uint32_t scatter = 0x9e3779b1; /* odd, with bits everywhere (2^32 by the golden ratio) */

	return (struct homes){.at = {(uint32_t)((uint64_t)tag * index->count >> 32),
				     (uint32_t)((uint64_t)(tag * scatter) * index->count >> 32)}};
}

static struct vigie_cached *entry_of(const struct vigie_cache *cache, uint64_t word)
{
	return (struct vigie_cached *)(void *)(cache->bytes + ((size_t)(uint32_t)word - 1) * ENTRY_ALIGN);
}

static uint64_t word_of(const struct vigie_cache *cache, const struct vigie_cached *cached)
{
	size_t place = (size_t)((const uint8_t *)cached - cache->bytes) / ENTRY_ALIGN + 1;

	return cached->hash << TAG_SHIFT | place;
}

static struct index *index_of(const struct shard *shard)
{
	return __atomic_load_n(&shard->index, __ATOMIC_ACQUIRE);
}

static struct index *index_sized(size_t count, size_t count_max)
{
	size_t size = sizeof(struct index) + count * sizeof(struct bucket);
	struct index *index = aligned_alloc(_Alignof(struct index), size);

	if (!index)
		return NULL;
	memset(index, 0, size);
	index->count = (uint32_t)count;
	index->count_max = (uint32_t)count_max;
	return index;
}

struct index *vigie_index_new(size_t buckets_max)
{
	return index_sized(buckets_max < INDEX_BUCKETS_MIN ? buckets_max : INDEX_BUCKETS_MIN, buckets_max);
}

void vigie_index_free(struct index *index)
{
	free(index);
}

static void on_index_unread(struct rcu_head *head)
{
	vigie_index_free(caa_container_of(head, struct index, rcu));
}

struct vigie_cached *vigie_index_find(const struct vigie_cache *cache, const struct shard *shard,
				      uint64_t hash, vigie_index_match *is, const void *wanted)
{
	const struct index *index = index_of(shard);
	uint32_t tag = (uint32_t)hash;
	struct homes homes = homes_of(index, tag);
	uint32_t moves = __atomic_load_n(&index->moves, __ATOMIC_ACQUIRE);
	uint32_t before;

	/* Both lines are on their way while the first is looked at. */
	__builtin_prefetch(&index->buckets[homes.at[1]]);
	do {
		before = moves;
		for (int i = 0; i < 2 * INDEX_BUCKET; i++) {
			const struct bucket *bucket = &index->buckets[homes.at[i / INDEX_BUCKET]];
			uint64_t word = __atomic_load_n(&bucket->words[i % INDEX_BUCKET], __ATOMIC_ACQUIRE);

			if (word >> TAG_SHIFT == tag && word != WORD_EMPTY &&
			    is(entry_of(cache, word), wanted))
				return entry_of(cache, word);
		}
		moves = __atomic_load_n(&index->moves, __ATOMIC_ACQUIRE);
	} while (moves != before);
	return NULL;
}

static unsigned bucket_used(const struct bucket *bucket)
{
	unsigned used = 0;

	for (int i = 0; i < INDEX_BUCKET; i++)
		used += bucket->words[i] != WORD_EMPTY;
	return used;
}

/* An empty place in the bucket of the two that has more of them; NULL when both are full. */
static uint64_t *find_place(struct index *index, uint32_t tag)
{
	struct homes homes = homes_of(index, tag);
	struct bucket *bucket = &index->buckets[homes.at[0]];
	struct bucket *other = &index->buckets[homes.at[1]];

	if (bucket_used(other) < bucket_used(bucket))
		bucket = other;
	for (int i = 0; i < INDEX_BUCKET; i++) {
		if (bucket->words[i] == WORD_EMPTY)
			return &bucket->words[i];
	}
	return NULL;
}

/* The writer's look at the places of a tag, of which there are 2 * INDEX_BUCKET. */
static uint64_t *place_at(struct index *index, const struct homes *homes, int i)
{
	return &index->buckets[homes->at[i / INDEX_BUCKET]].words[i % INDEX_BUCKET];
}

/* Where a word stands; NULL when it does not. */
static uint64_t *find_word(struct index *index, uint64_t wanted)
{
	struct homes homes = homes_of(index, (uint32_t)(wanted >> TAG_SHIFT));

	for (int i = 0; i < 2 * INDEX_BUCKET; i++) {
		uint64_t *place = place_at(index, &homes, i);

		if (*place == wanted)
			return place;
	}
	return NULL;
}

static bool is_beyond(const struct index *index, unsigned sixteenths)
{
	return (uint64_t)index->used * 16 >= (uint64_t)index->count * INDEX_BUCKET * sixteenths;
}

bool vigie_index_is_full(const struct shard *shard)
{
	const struct index *index = index_of(shard);

	return index->count == index->count_max && is_beyond(index, INDEX_FULL);
}

/* Builds an index of twice the size and publishes it. The old one stays where memory is out, or where two
 * full buckets of the new one leave no place, which cannot be expected of one that is not half full. */
static void grow(struct shard *shard)
{
	struct index *old = index_of(shard);
	size_t count = (size_t)old->count * 2 < old->count_max ? (size_t)old->count * 2 : old->count_max;
	struct index *index = index_sized(count, old->count_max);

	if (!index)
		return;
	for (uint32_t i = 0; i < old->count * INDEX_BUCKET; i++) {
		uint64_t word = old->buckets[i / INDEX_BUCKET].words[i % INDEX_BUCKET];
		uint64_t *place =
			word == WORD_EMPTY ? NULL : find_place(index, (uint32_t)(word >> TAG_SHIFT));

		if (place)
			*place = word;
		else if (word != WORD_EMPTY) {
			vigie_index_free(index);
			return;
		}
	}
	index->used = old->used;
	__atomic_store_n(&shard->index, index, __ATOMIC_RELEASE);
	call_rcu(&old->rcu, on_index_unread);
}

/* An empty place in one of a tag's buckets, which are full: made by moving an entry to its other bucket.
 * NULL: those are full as well. */
static uint64_t *make_place(struct index *index, uint32_t tag)
{
	struct homes homes = homes_of(index, tag);

	for (int i = 0; i < 2 * INDEX_BUCKET; i++) {
		uint64_t *place = place_at(index, &homes, i);
		uint64_t *other = find_place(index, (uint32_t)(*place >> TAG_SHIFT));

		if (!other)
			continue;
		__atomic_store_n(other, *place, __ATOMIC_RELEASE);
		/* Who looked there before and will not find it here any more is to look again. */
		__atomic_store_n(&index->moves, index->moves + 1, __ATOMIC_RELEASE);
		__atomic_store_n(place, WORD_EMPTY, __ATOMIC_RELEASE);
		return place;
	}
	return NULL;
}

bool vigie_index_add(struct vigie_cache *cache, struct shard *shard, const struct vigie_cached *cached)
{
	struct index *index = index_of(shard);
	uint32_t tag = (uint32_t)cached->hash;
	uint64_t *place = find_place(index, tag);

	if (index->count < index->count_max && (!place || is_beyond(index, INDEX_CROWDED))) {
		grow(shard);
		index = index_of(shard);
		place = find_place(index, tag);
	}
	if (!place)
		place = make_place(index, tag);
	if (!place)
		return false;
	index->used++;
	__atomic_store_n(place, word_of(cache, cached), __ATOMIC_RELEASE);
	return true;
}

void vigie_index_replace(struct vigie_cache *cache, struct shard *shard, const struct vigie_cached *old,
			 const struct vigie_cached *cached)
{
	uint64_t *place = find_word(index_of(shard), word_of(cache, old));

	if (place)
		__atomic_store_n(place, word_of(cache, cached), __ATOMIC_RELEASE);
}

void vigie_index_remove(struct vigie_cache *cache, struct shard *shard, const struct vigie_cached *cached)
{
	struct index *index = index_of(shard);
	uint64_t *place = find_word(index, word_of(cache, cached));

	if (!place)
		return;
	index->used--;
	__atomic_store_n(place, WORD_EMPTY, __ATOMIC_RELEASE);
}

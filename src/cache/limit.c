/* CAPACITY: how many answers of a class a part may hold. Each part has a ring for each class and shard with
 * the hashes of what it stored; who comes takes the place of the one that the hand is at, unless that was
 * read since the hand came by last (CLOCK). */
#include <stdlib.h>

#include "store.h"

enum { CHANCES = 64 /* so many may be passed over for being read */ };

/* An entry that a ring knows. */
struct wanted {
	const struct vigie_cache_part *part;
	uint64_t hash;
	enum class class;
};

static bool is_wanted(const struct vigie_cached *cached, const void *argument)
{
	const struct wanted *wanted = argument;

	return cached->hash == wanted->hash && cached->part == wanted->part &&
	       vigie_cached_class(cached) == wanted->class;
}

void vigie_limit_enter(struct vigie_cache *cache, struct shard *shard, struct vigie_cached *cached)
{
	struct ring *ring = &cached->part->rings[vigie_cached_class(cached)];
	struct wanted wanted = {.part = cached->part, .class = vigie_cached_class(cached)};
	size_t number = (size_t)(shard - cache->shards);
	uint64_t *slots = ring->slots + number * ring->size;
	struct vigie_cached *victim;

	if (!ring->slots)
		return;
	for (unsigned chances = CHANCES;; chances--) {
		uint32_t hand = ring->hand[number];
		uint8_t frequency;

		ring->hand[number] = hand + 1 < ring->size ? hand + 1 : 0;
		wanted.hash = slots[hand];
		victim = wanted.hash ? vigie_index_find(cache, shard, wanted.hash, is_wanted, &wanted) : NULL;
		if (victim && victim != cached) {
			frequency = __atomic_load_n(&victim->frequency, __ATOMIC_RELAXED);
			if (frequency > 0 && chances > 0) {
				__atomic_store_n(&victim->frequency, (uint8_t)(frequency - 1),
						 __ATOMIC_RELAXED);
				continue;
			}
			vigie_segment_evict(cache, shard, victim);
		}
		slots[hand] = cached->hash;
		return;
	}
}

enum vigie_status vigie_cache_part_limit(struct vigie_cache *cache, struct vigie_cache_part *part,
					 bool positive, size_t capacity)
{
	struct ring *ring = &part->rings[positive ? CLASS_POSITIVE : CLASS_NEGATIVE];
	uint64_t *slots;

	/* One that the budget ends before is none. */
	if (ring->slots || capacity >= cache->budget / sizeof(struct vigie_cached))
		return VIGIE_OK;
	ring->size = (uint32_t)(capacity / cache->shard_count);
	slots = calloc(ring->size * cache->shard_count, sizeof(*slots));
	ring->hand = calloc(cache->shard_count, sizeof(*ring->hand));
	if (!slots || !ring->hand) {
		free(slots);
		return VIGIE_ENOMEM;
	}
	ring->slots = slots;
	return VIGIE_OK;
}

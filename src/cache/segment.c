/* Queues of segments, and what is evicted from them (S3-FIFO). */
#include <stddef.h>
#include <string.h>

#include "store.h"

enum {
	SMALL_PART = 10, /* the small queue has a tenth of a class' segments */
	ROUNDS_MAX = 4   /* segments evicted at a time: each round keeps only what was read more often */
};

#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *address);
#else
#define __tsan_acquire(address)
#endif

static void append(struct segments *segments, struct segment *segment)
{
	segment->next = NULL;
	if (segments->youngest)
		segments->youngest->next = segment;
	else
		segments->oldest = segment;
	segments->youngest = segment;
	segments->count++;
}

static struct segment *pop(struct segments *segments)
{
	struct segment *segment = segments->oldest;

	segments->oldest = segment->next;
	if (!segments->oldest)
		segments->youngest = NULL;
	segments->count--;
	return segment;
}

static uint32_t class_count(const struct shard *shard, enum class class)
{
	return shard->queues[class][QUEUE_SMALL].count + shard->queues[class][QUEUE_MAIN].count;
}

/* A grace period has passed since the segment's entries left the index. */
static void on_usable(struct rcu_head *head)
{
	struct segment *segment = caa_container_of(head, struct segment, rcu);

	/* liburcu is not instrumented: ThreadSanitizer learns here that readers have passed. */
	__tsan_acquire(&segment->usable);
	__atomic_store_n(&segment->usable, true, __ATOMIC_RELEASE);
}

static bool has_free(const struct shard *shard)
{
	return shard->free.oldest && __atomic_load_n(&shard->free.oldest->usable, __ATOMIC_ACQUIRE);
}

static struct segment *take_free(struct shard *shard)
{
	struct segment *segment;

	if (!has_free(shard))
		return NULL;
	segment = pop(&shard->free);
	segment->used = 0;
	__atomic_fetch_add(&shard->used, 1, __ATOMIC_RELAXED);
	return segment;
}

/* Whether an entry fits into the segment that is written. */
static bool has_room(const struct segments *queue, size_t size)
{
	return queue->youngest && SEGMENT_SIZE - queue->youngest->used >= size;
}

/* Room in a queue without evicting. */
static struct vigie_cached *take_room(struct shard *shard, struct segments *queue, size_t size)
{
	struct segment *segment = queue->youngest;
	struct vigie_cached *cached;

	if (!has_room(queue, size)) {
		segment = take_free(shard);
		if (!segment)
			return NULL;
		append(queue, segment);
	}
	cached = (struct vigie_cached *)(void *)(segment->bytes + segment->used);
	segment->used += (uint32_t)size;
	return cached;
}

void vigie_segment_drop(struct vigie_cache *cache, struct shard *shard, struct vigie_cached *cached)
{
	if (cached->dead)
		return;
	vigie_index_remove(cache, shard, cached);
	cached->dead = true;
	__atomic_fetch_sub(&cached->part->entries[cached->kind], 1, __ATOMIC_RELAXED);
}

void vigie_segment_evict(struct vigie_cache *cache, struct shard *shard, struct vigie_cached *cached)
{
	vigie_segment_drop(cache, shard, cached);
	__atomic_fetch_add(&cached->part->evicted[cached->kind], 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&shard->evicted, 1, __ATOMIC_RELAXED);
}

/* Copies an entry to the front of the main queue. */
static bool promote(struct vigie_cache *cache, struct shard *shard, struct vigie_cached *cached,
		    uint8_t frequency)
{
	struct segments *queue = &shard->queues[vigie_cached_class(cached)][QUEUE_MAIN];
	struct vigie_cached *copy = take_room(shard, queue, cached->size);

	if (!copy)
		return false;
	memcpy(&copy->part, &cached->part, cached->size - offsetof(struct vigie_cached, part));
	copy->claimed = __atomic_load_n(&cached->claimed, __ATOMIC_RELAXED);
	copy->failed = __atomic_load_n(&cached->failed, __ATOMIC_RELAXED);
	copy->retry = __atomic_load_n(&cached->retry, __ATOMIC_RELAXED);
	copy->last_hit = __atomic_load_n(&cached->last_hit, __ATOMIC_RELAXED);
	copy->hits = __atomic_load_n(&cached->hits, __ATOMIC_RELAXED);
	copy->failures = __atomic_load_n(&cached->failures, __ATOMIC_RELAXED);
	copy->frequency = frequency;
	vigie_index_replace(cache, shard, cached, copy);
	cached->dead = true;
	return true;
}

/* A table of fingerprints that younger ones overwrite: close enough to a queue of them. Never 0. */
static uint16_t fingerprint(uint64_t hash)
{
	return (uint16_t)(hash >> 48) | 1;
}

static void remember_ghost(struct shard *shard, uint64_t hash)
{
	shard->ghosts[(hash >> 8) & shard->ghost_mask] = fingerprint(hash);
}

bool vigie_ghost_take(struct shard *shard, uint64_t hash)
{
	uint16_t *ghost = &shard->ghosts[(hash >> 8) & shard->ghost_mask];

	if (*ghost != fingerprint(hash))
		return false;
	*ghost = 0;
	return true;
}

/* Evicts the oldest segment of a class; what was read more than `least` times stays. */
static void evict(struct vigie_cache *cache, struct shard *shard, enum class class, uint8_t least)
{
	struct segments *small = &shard->queues[class][QUEUE_SMALL];
	struct segments *main = &shard->queues[class][QUEUE_MAIN];
	/* Where it is the index that is full, more of what nobody reads does no good. */
	uint32_t share = vigie_index_is_full(shard) ? 1 : 1 + class_count(shard, class) / SMALL_PART;
	bool from_small = main->count == 0 || small->count > share;
	struct segment *segment = pop(from_small ? small : main);

	for (uint32_t at = 0; at < segment->used;) {
		struct vigie_cached *cached = (struct vigie_cached *)(void *)(segment->bytes + at);
		uint8_t frequency;

		at += cached->size;
		if (cached->dead)
			continue;
		frequency = __atomic_load_n(&cached->frequency, __ATOMIC_RELAXED);
		/* What comes from the small queue was not counted down before; it is once it is in the other.
		 */
		if (frequency > (from_small ? 0 : least) &&
		    promote(cache, shard, cached, from_small ? 0 : (uint8_t)(frequency - 1)))
			continue;
		vigie_segment_evict(cache, shard, cached);
		if (from_small)
			remember_ghost(shard, cached->hash);
	}
	__atomic_fetch_sub(&shard->used, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&segment->usable, false, __ATOMIC_RELAXED);
	append(&shard->free, segment);
	call_rcu(&segment->rcu, on_usable);
}

static void make_space(struct vigie_cache *cache, struct shard *shard, enum class class)
{
	for (uint8_t round = 0; round < ROUNDS_MAX; round++) {
		bool negative_full = class_count(shard, CLASS_NEGATIVE) >= shard->negative_max;
		bool index_full = vigie_index_is_full(shard);
		enum class victim = class;

		if (shard->free.count > shard->reserve && !index_full &&
		    !(class == CLASS_NEGATIVE && negative_full))
			return;
		/* What is read often could not be promoted: rather than lose it, do without the new entry
		 * until a grace period has passed. */
		if (!has_free(shard))
			return;
		/* Negative answers may take room from positive ones up to their share, never the reverse.
		 * Many that are small fill the index before that: they make room for each other. */
		if (class == CLASS_NEGATIVE && !negative_full && !index_full)
			victim = CLASS_POSITIVE;
		if (class_count(shard, victim) == 0)
			victim = victim == CLASS_POSITIVE ? CLASS_NEGATIVE : CLASS_POSITIVE;
		if (class_count(shard, victim) == 0)
			return;
		evict(cache, shard, victim, round);
	}
}

struct vigie_cached *vigie_segment_room(struct vigie_cache *cache, struct shard *shard, enum class class,
					enum queue queue, size_t size)
{
	struct segments *segments = &shard->queues[class][queue];

	if (!has_room(segments, size) || vigie_index_is_full(shard))
		make_space(cache, shard, class);
	/* The last free segment is for what is moved when there is to be room again. */
	if (vigie_index_is_full(shard) || (!has_room(segments, size) && shard->free.count <= 1))
		return NULL;
	return take_room(shard, segments, size);
}

/* Looking at all that is held, a segment at a time. Workers only ever try a shard's lock, so they don't wait
 * for this: an answer that comes just then is not kept. */
#include "store.h"

static void walk_segment(struct vigie_cache *cache, struct shard *shard, struct segment *segment,
			 vigie_cache_visitor *visitor, void *argument)
{
	for (uint32_t at = 0; at < segment->used;) {
		struct vigie_cached *cached = (struct vigie_cached *)(void *)(segment->bytes + at);

		at += cached->size;
		if (cached->dead || !visitor(argument, cached))
			continue;
		vigie_segment_drop(cache, shard, cached);
		__atomic_fetch_add(&shard->flushed, 1, __ATOMIC_RELAXED);
	}
}

static struct shard *shard_of_segment(struct vigie_cache *cache, size_t segment)
{
	for (unsigned i = 0; i + 1 < cache->shard_count; i++) {
		if (segment < cache->shards[i].first + cache->shards[i].segments)
			return &cache->shards[i];
	}
	return &cache->shards[cache->shard_count - 1];
}

bool vigie_cache_walk(struct vigie_cache *cache, size_t *cursor, vigie_cache_visitor *visitor, void *argument)
{
	struct shard *shard;

	if (*cursor >= cache->segment_count)
		return false;
	shard = shard_of_segment(cache, *cursor);
	pthread_mutex_lock(&shard->lock);
	walk_segment(cache, shard, &cache->segments[*cursor], visitor, argument);
	pthread_mutex_unlock(&shard->lock);
	++*cursor;
	return true;
}

bool vigie_cache_flush(struct vigie_cache *cache, size_t *cursor, vigie_cache_visitor *visitor,
		       void *argument)
{
	struct shard *shard;

	if (*cursor >= cache->shard_count)
		return false;
	shard = &cache->shards[*cursor];
	pthread_mutex_lock(&shard->lock);
	for (size_t i = 0; i < shard->segments; i++)
		walk_segment(cache, shard, &cache->segments[shard->first + i], visitor, argument);
	pthread_mutex_unlock(&shard->lock);
	++*cursor;
	return true;
}

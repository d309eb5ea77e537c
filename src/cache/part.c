/* Parts of a store, and the store that configurations share. */
#include <stdlib.h>

#include "store.h"

static struct vigie_cache *shared;

struct vigie_cache *vigie_cache_acquire(size_t budget)
{
	if (!shared)
		shared = vigie_cache_new(budget);
	if (shared)
		shared->users++;
	return shared;
}

void vigie_cache_release(struct vigie_cache *cache)
{
	if (--cache->users > 0)
		return;
	if (cache == shared)
		shared = NULL;
	vigie_cache_free(cache);
}

void vigie_part_free(struct vigie_cache_part *part)
{
	for (int class = 0; class < CLASSES; class ++) {
		free(part->rings[class].slots);
		free(part->rings[class].hand);
	}
	free(part);
}

static bool holds_nothing(const struct vigie_cache_part *part)
{
	for (int kind = 0; kind < VIGIE_CACHED_KINDS; kind++) {
		if (__atomic_load_n(&part->entries[kind], __ATOMIC_RELAXED) > 0)
			return false;
	}
	return true;
}

struct vigie_cache_part *vigie_cache_part_find(struct vigie_cache *cache, uint64_t id)
{
	struct vigie_cache_part *part = cache->parts;

	while (part && (part->id != id || part->users == 0))
		part = part->next;
	return part;
}

struct vigie_cache_part *vigie_cache_part_acquire(struct vigie_cache *cache, uint64_t id)
{
	struct vigie_cache_part **place = &cache->parts;
	struct vigie_cache_part *part;

	while ((part = *place)) {
		if (part->id == id) {
			part->users++;
			return part;
		}
		place = &part->next;
	}
	if (cache->part_count == VIGIE_CACHE_PARTS_MAX)
		return NULL;
	part = calloc(1, sizeof(*part));
	if (!part)
		return NULL;
	part->id = id;
	part->users = 1;
	*place = part;
	cache->part_count++;
	return part;
}

void vigie_cache_part_release(struct vigie_cache *cache, struct vigie_cache_part *part)
{
	part->users--;
	/* Parts of past configurations go when their last answer has been evicted: looked at whenever one
	 * ends. Nobody stores into a part without users, so one that holds nothing stays so. */
	for (struct vigie_cache_part **place = &cache->parts; (part = *place);) {
		if (part->users > 0 || !holds_nothing(part)) {
			place = &part->next;
			continue;
		}
		*place = part->next;
		cache->part_count--;
		vigie_part_free(part);
	}
}

void vigie_cache_part_count(const struct vigie_cache_part *part, struct vigie_cache_part_count *count)
{
	for (int kind = 0; kind < VIGIE_CACHED_KINDS; kind++) {
		count->entries[kind] = __atomic_load_n(&part->entries[kind], __ATOMIC_RELAXED);
		count->evicted[kind] = __atomic_load_n(&part->evicted[kind], __ATOMIC_RELAXED);
	}
}

const char *vigie_cached_kind_text(enum vigie_cached_kind kind)
{
	return kind == VIGIE_CACHED_ANSWER ? "success" : "denial";
}

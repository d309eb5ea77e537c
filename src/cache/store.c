#include "store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vigie/hash.h"

enum {
	BYTES_A_PLACE = 96,     /* of the budget, for each of an index: the smallest entries are that long */
	SEGMENTS_MAX = 1 << 20, /* 32 GiB: what an index can tell apart */
	BYTES_A_GHOST = 128
};

/* One question in one part. */
struct key {
	const struct vigie_cache_part *part;
	const uint8_t *name;
	size_t name_length;
	uint16_t type;
	uint16_t class;
	uint8_t options;
};

static void key_of_query(struct key *key, const struct vigie_cache_part *part,
			 const struct vigie_query *query)
{
	*key = (struct key){
		.part = part,
		.name = query->name.bytes,
		.name_length = query->name.length,
		.type = query->type,
		.class = query->class,
		.options = (uint8_t)((query->edns_do ? OPTION_DO : 0) |
				     ((query->flags & VIGIE_FLAG_CD) ? OPTION_CD : 0) |
				     ((query->flags & VIGIE_FLAG_RD) ? 0 : OPTION_NO_RD)),
	};
}

static uint64_t hash_key(const struct key *key)
{
	uint8_t bytes[KEY_MAX];

	memcpy(bytes, &key->part->id, 8);
	memcpy(bytes + 8, &key->type, 2);
	memcpy(bytes + 10, &key->class, 2);
	bytes[12] = key->options;
	memcpy(bytes + 13, key->name, key->name_length);
	return vigie_hash(bytes, 13 + key->name_length);
}

static bool is_key(const struct vigie_cached *cached, const void *wanted)
{
	const struct key *key = wanted;

	return cached->part == key->part && cached->type == key->type && cached->class == key->class &&
	       cached->options == key->options && cached->name_length == key->name_length &&
	       memcmp(vigie_cached_name(cached), key->name, key->name_length) == 0;
}

static struct shard *shard_of(struct vigie_cache *cache, uint64_t hash)
{
	return &cache->shards[(hash >> 40) & (cache->shard_count - 1)];
}

const struct vigie_cached *vigie_cache_find(struct vigie_cache *cache, const struct vigie_cache_part *part,
					    const struct vigie_query *query)
{
	struct vigie_cached *cached;
	struct key key;
	uint64_t hash;
	uint8_t frequency;

	key_of_query(&key, part, query);
	hash = hash_key(&key);
	cached = vigie_index_find(cache, shard_of(cache, hash), hash, is_key, &key);
	if (!cached)
		return NULL;
	frequency = __atomic_load_n(&cached->frequency, __ATOMIC_RELAXED);
	/* Two workers may count one read: what is wanted is an idea of it. An entry that many read is not
	 * written any more. */
	if (frequency < FREQUENCY_MAX)
		__atomic_store_n(&cached->frequency, (uint8_t)(frequency + 1), __ATOMIC_RELAXED);
	return cached;
}

/* Bytes of the text that says why a failure is one, without its terminator. */
static size_t why_length(const struct vigie_answer *answer)
{
	return answer->ede_text ? strnlen(answer->ede_text, WHY_MAX) : 0;
}

static size_t entry_size(const struct vigie_answer *answer, const struct vigie_cache_reply *reply)
{
	size_t question = VIGIE_HEADER_SIZE + vigie_query_question_length(answer->query);
	size_t size = offsetof(struct vigie_cached, bytes) + 2U * reply->count + (answer->length - question) +
		      answer->query->name.length;

	if (reply->kind == VIGIE_CACHED_FAILURE)
		size += why_length(answer) + 1;
	return (size + ENTRY_ALIGN - 1) & ~(size_t)(ENTRY_ALIGN - 1);
}

static void write_entry(struct vigie_cached *cached, struct vigie_cache_part *part, const struct key *key,
			const struct vigie_answer *answer, const struct vigie_cache_reply *reply)
{
	size_t question = VIGIE_HEADER_SIZE + vigie_query_question_length(answer->query);
	uint8_t *at = cached->bytes;

	cached->part = part;
	cached->type = key->type;
	cached->class = key->class;
	cached->options = key->options;
	cached->name_length = (uint8_t)key->name_length;
	cached->kind = (uint8_t)reply->kind;
	cached->rcode = answer->rcode;
	cached->flags = answer->flags & (VIGIE_FLAG_AA | VIGIE_FLAG_RA | VIGIE_FLAG_AD);
	memcpy(cached->count, answer->count, sizeof(cached->count));
	cached->length = (uint16_t)(answer->length - question);
	cached->dead = false;
	for (unsigned i = 0; i < reply->count; i++) {
		uint16_t offset = (uint16_t)(reply->at[i] - question);

		memcpy(at, &offset, sizeof(offset));
		at += sizeof(offset);
	}
	memcpy(at, answer->buffer + question, cached->length);
	at += cached->length;
	memcpy(at, key->name, key->name_length);
	at += key->name_length;
	if (reply->kind == VIGIE_CACHED_FAILURE) {
		size_t length = why_length(answer);

		if (length > 0)
			memcpy(at, answer->ede_text, length);
		at[length] = 0;
	}
}

/* The shard is locked. */
static enum vigie_status put_locked(struct vigie_cache *cache, struct shard *shard,
				    struct vigie_cache_part *part, const struct key *key, uint64_t hash,
				    const struct vigie_answer *answer, const struct vigie_cache_reply *reply,
				    uint32_t lifetime, uint64_t now_ms)
{
	enum class class = reply->kind == VIGIE_CACHED_ANSWER ? CLASS_POSITIVE : CLASS_NEGATIVE;
	size_t size = entry_size(answer, reply);
	struct vigie_cached *held = vigie_index_find(cache, shard, hash, is_key, key);
	struct vigie_cached *cached;
	bool known;
	bool counted = held && vigie_cached_class(held) == class;

	/* What many read, or did until lately, does not have to prove itself again. */
	known = held ? __atomic_load_n(&held->frequency, __ATOMIC_RELAXED) > 0
		     : vigie_ghost_take(shard, hash);
	cached = vigie_segment_room(cache, shard, class, known ? QUEUE_MAIN : QUEUE_SMALL, size);
	if (!cached)
		return VIGIE_ENOSPC;
	write_entry(cached, part, key, answer, reply);
	cached->hash = hash;
	cached->size = (uint32_t)size;
	cached->stored_ms = now_ms;
	cached->lifetime = lifetime;
	cached->claimed = cached->failed = cached->retry = cached->last_hit = 0;
	/* Popularity goes over to the newer answer, and failures add up. */
	cached->hits = held ? __atomic_load_n(&held->hits, __ATOMIC_RELAXED) : 0;
	cached->failures = 0;
	if (held && held->kind == VIGIE_CACHED_FAILURE && cached->kind == VIGIE_CACHED_FAILURE &&
	    held->failures < UINT8_MAX)
		cached->failures = (uint8_t)(held->failures + 1);
	cached->frequency = 0;
	if (held && held->dead) /* it was evicted, or moved, to make room */
		held = vigie_index_find(cache, shard, hash, is_key, key);
	if (held) {
		vigie_index_replace(cache, shard, held, cached);
		held->dead = true;
		__atomic_fetch_sub(&part->entries[held->kind], 1, __ATOMIC_RELAXED);
	} else if (!vigie_index_add(cache, shard, cached)) {
		cached->dead = true;
		return VIGIE_ENOSPC;
	}
	__atomic_fetch_add(&part->entries[cached->kind], 1, __ATOMIC_RELAXED);
	if (!counted)
		vigie_limit_enter(cache, shard, cached);
	return VIGIE_OK;
}

enum vigie_status vigie_cache_put(struct vigie_cache *cache, struct vigie_cache_part *part,
				  const struct vigie_answer *answer, const struct vigie_cache_reply *reply,
				  uint32_t lifetime, uint64_t now_ms)
{
	enum vigie_status status = VIGIE_ENOSPC;
	struct shard *shard;
	struct key key;
	uint64_t hash;

	key_of_query(&key, part, answer->query);
	hash = hash_key(&key);
	shard = shard_of(cache, hash);
	if (entry_size(answer, reply) <= VIGIE_CACHE_ENTRY_MAX && pthread_mutex_trylock(&shard->lock) == 0) {
		status = put_locked(cache, shard, part, &key, hash, answer, reply, lifetime, now_ms);
		pthread_mutex_unlock(&shard->lock);
	}
	__atomic_fetch_add(status ? &shard->refused : &shard->stored, 1, __ATOMIC_RELAXED);
	return status;
}

static unsigned long power_of_two(size_t at_most)
{
	unsigned long power = 1;

	while (power * 2 <= at_most)
		power *= 2;
	return power;
}

static unsigned count_shards(size_t segments)
{
	unsigned long few = power_of_two(segments / SHARD_SEGMENTS_MIN + 1);
	unsigned long many = power_of_two(segments / SHARD_SEGMENTS_MANY + 1);

	if (few > SHARDS_FEW)
		few = SHARDS_FEW;
	if (many > SHARDS_MAX)
		many = SHARDS_MAX;
	return (unsigned)(many > few ? many : few);
}

/* False: memory is out. */
static bool init_shards(struct vigie_cache *cache, size_t buckets)
{
	size_t segment = 0;
	bool good = true;

	for (unsigned i = 0; i < cache->shard_count; i++) {
		struct shard *shard = &cache->shards[i];
		size_t end = cache->segment_count * (i + 1) / cache->shard_count;

		pthread_mutex_init(&shard->lock, NULL);
		shard->index = vigie_index_new(buckets);
		good = good && shard->index;
		shard->ghosts = cache->ghosts + i * (cache->ghost_count / cache->shard_count);
		shard->ghost_mask = (uint32_t)(cache->ghost_count / cache->shard_count - 1);
		shard->first = segment;
		for (; segment < end; segment++) {
			struct segment *one = &cache->segments[segment];

			one->bytes = cache->bytes + segment * SEGMENT_SIZE;
			one->usable = true;
			if (shard->free.youngest)
				shard->free.youngest->next = one;
			else
				shard->free.oldest = one;
			shard->free.youngest = one;
			shard->free.count++;
		}
		shard->segments = shard->free.count;
		shard->negative_max = shard->segments / VIGIE_CACHE_NEGATIVE_SHARE;
		shard->reserve = 2 + shard->segments / 32;
	}
	return good;
}

struct vigie_cache *vigie_cache_new(size_t budget)
{
	struct vigie_cache *cache = aligned_alloc(_Alignof(struct vigie_cache), sizeof(*cache));
	size_t buckets;

	if (!cache)
		return NULL;
	memset(cache, 0, sizeof(*cache));
	if (budget < VIGIE_CACHE_BUDGET_MIN)
		budget = VIGIE_CACHE_BUDGET_MIN;
	buckets = budget / (BYTES_A_PLACE * INDEX_BUCKET);
	cache->ghost_count = power_of_two(budget / BYTES_A_GHOST);
	cache->budget = budget;
	cache->overhead = buckets * INDEX_BUCKET_SIZE + cache->ghost_count * sizeof(*cache->ghosts);
	cache->segment_count = (budget - cache->overhead) / (SEGMENT_SIZE + sizeof(*cache->segments));
	if (cache->segment_count > SEGMENTS_MAX)
		cache->segment_count = SEGMENTS_MAX;
	cache->overhead += cache->segment_count * sizeof(*cache->segments);
	cache->shard_count = count_shards(cache->segment_count);
	cache->shards = aligned_alloc(_Alignof(struct shard), cache->shard_count * sizeof(*cache->shards));
	if (cache->shards)
		memset(cache->shards, 0, cache->shard_count * sizeof(*cache->shards));
	cache->segments = calloc(cache->segment_count, sizeof(*cache->segments));
	cache->ghosts = calloc(cache->ghost_count, sizeof(*cache->ghosts));
	/* Pages become memory when they are first written. */
	cache->bytes = mmap(NULL, cache->segment_count * SEGMENT_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (cache->bytes == MAP_FAILED)
		cache->bytes = NULL;
	if (!cache->shards || !cache->segments || !cache->ghosts || !cache->bytes ||
	    !init_shards(cache, buckets / cache->shard_count)) {
		vigie_cache_free(cache);
		return NULL;
	}
	return cache;
}

void vigie_cache_free(struct vigie_cache *cache)
{
	if (!cache)
		return;
	rcu_barrier(); /* segments and indexes that wait for a grace period */
	for (size_t i = 0; cache->segments && i < cache->segment_count; i++)
		(void)__atomic_load_n(&cache->segments[i].usable, __ATOMIC_ACQUIRE); /* for ThreadSanitizer */
	for (unsigned i = 0; cache->shards && i < cache->shard_count; i++)
		vigie_index_free(cache->shards[i].index);
	if (cache->bytes)
		munmap(cache->bytes, cache->segment_count * SEGMENT_SIZE);
	while (cache->parts) {
		struct vigie_cache_part *next = cache->parts->next;

		vigie_part_free(cache->parts);
		cache->parts = next;
	}
	free(cache->shards);
	free(cache->segments);
	free(cache->ghosts);
	free(cache);
}

uint64_t vigie_cache_changes(const struct vigie_cache *cache)
{
	uint64_t changes = 0;

	for (unsigned i = 0; i < cache->shard_count; i++)
		changes += __atomic_load_n(&cache->shards[i].stored, __ATOMIC_RELAXED) +
			   __atomic_load_n(&cache->shards[i].flushed, __ATOMIC_RELAXED);
	return changes;
}

void vigie_cache_count(const struct vigie_cache *cache, struct vigie_cache_count *count)
{
	*count = (struct vigie_cache_count){.bytes = cache->overhead, .budget = cache->budget};
	for (unsigned i = 0; i < cache->shard_count; i++) {
		const struct shard *shard = &cache->shards[i];

		count->bytes += __atomic_load_n(&shard->used, __ATOMIC_RELAXED) * SEGMENT_SIZE;
		count->stored += __atomic_load_n(&shard->stored, __ATOMIC_RELAXED);
		count->evicted += __atomic_load_n(&shard->evicted, __ATOMIC_RELAXED);
		count->refused += __atomic_load_n(&shard->refused, __ATOMIC_RELAXED);
	}
	for (const struct vigie_cache_part *part = cache->parts; part; part = part->next) {
		for (int kind = 0; kind < VIGIE_CACHED_KINDS; kind++)
			count->entries[kind] += __atomic_load_n(&part->entries[kind], __ATOMIC_RELAXED);
	}
}

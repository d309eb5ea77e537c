/* `cache [TTL] [ZONES...] { OPTIONS }`: answers of other servers are held and given again. */
#include "cache.h"

#include <stdlib.h>
#include <string.h>

#include "directives.h"
#include "guard.h"
#include "vigie/buffer.h"
#include "vigie/hash.h"
#include "vigie/log.h"
#include "vigie/trace.h"

enum { IDENTITY_MAX = 4 << 20 /* bytes of a block's text: above what a Corefile may have */ };

/* A block's text as far as its answers depend on it. */
static enum vigie_status append_word(struct vigie_buffer *text, const char *word)
{
	return vigie_buffer_append(text, word, strlen(word) + 1);
}

static enum vigie_status append_statement(struct vigie_buffer *text, const struct vigie_statement *statement)
{
	enum vigie_status status = append_word(text, statement->name.text);

	for (size_t i = 0; i < statement->arg_count && !status; i++)
		status = append_word(text, statement->args[i].text);
	if (!status && statement->body)
		status = append_word(text, "{");
	for (size_t i = 0; i < statement->body_count && !status; i++)
		status = append_statement(text, &statement->body[i]);
	return status ? status : append_word(text, "\n");
}

static size_t chain_position(const char *name)
{
	size_t position = 0;

	while (vigie_directives[position] && strcmp(vigie_directives[position]->name, name) != 0)
		position++;
	return position;
}

/* Answers belong to a block's zones, to this directive, and to all that stands behind it in the chain:
 * another configuration that has the same of these may go on with them. */
static enum vigie_status identify(const struct vigie_block *block, struct cache *cache)
{
	const struct vigie_server_block *source = block->source;
	size_t own = chain_position("cache");
	enum vigie_status status = VIGIE_OK;
	struct vigie_buffer text;

	vigie_buffer_init(&text, IDENTITY_MAX);
	for (size_t i = 0; i < source->key_count && !status; i++)
		status = vigie_buffer_append(&text, source->keys[i].zone.bytes, source->keys[i].zone.length);
	for (size_t i = 0; i < source->statement_count && !status; i++) {
		if (chain_position(source->statements[i].name.text) >= own)
			status = append_statement(&text, &source->statements[i]);
	}
	cache->id = vigie_hash_stable(text.data, text.length);
	vigie_buffer_fini(&text);
	return status;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct cache *cache = vigie_arena_alloc(block->arena, sizeof(*cache));
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (status)
		return status;
	if (!cache || identify(block, cache))
		return vigie_error_memory(error);
	cache->statement = statements[0];
	cache->process = block->process;
	block->process->cache_waiting++;
	if (!block->process->cache_first)
		block->process->cache_first = cache;
	cache->shows_store = block->process->cache_first == cache;
	*instance = cache;
	return cache_read_options(block, cache, error);
}

static enum vigie_status limit(const struct cache *cache, bool positive, uint32_t capacity)
{
	return capacity ? vigie_cache_part_limit(cache->store, cache->part, positive, capacity) : VIGIE_OK;
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct cache *cache = instance;
	size_t budget = block->process->cache_budget;

	cache->server = block->server;
	cache_write_labels(block, cache);
	cache->store = vigie_cache_acquire(budget ? budget : vigie_cache_default_budget());
	if (!cache->store)
		return vigie_error_set(error, VIGIE_ENOMEM, "no memory for the cache");
	cache->part = vigie_cache_part_acquire(cache->store, cache->id);
	cache->workers = block->process->workers;
	cache->counters = aligned_alloc(64, cache->workers * sizeof(*cache->counters));
	if (!cache->part || !cache->counters || limit(cache, true, cache->success.capacity) ||
	    limit(cache, false, cache->denial.capacity))
		return vigie_error_set(error, VIGIE_ENOMEM, "no memory for the cache");
	memset(cache->counters, 0, cache->workers * sizeof(*cache->counters));
	/* When the last one has its part of the store the file may be read. */
	return --block->process->cache_waiting > 0 ? VIGIE_OK : cache_persist_start(cache, error);
}

static void stop(void *instance)
{
	struct cache *cache = instance;

	cache_persist_stop(cache);
	free(cache->counters);
	cache->counters = NULL;
	free(cache->reason);
	cache->reason = NULL;
	if (cache->part)
		vigie_cache_part_release(cache->store, cache->part);
	cache->part = NULL;
	if (cache->store)
		vigie_cache_release(cache->store);
	cache->store = NULL;
}

/* An answer that depends on EDNS options is for nobody else (`rewrite edns0`). */
static bool is_for(const struct cache *cache, const struct vigie_query *query)
{
	return !query->forward_options && zones_match(&cache->zones, &query->name);
}

static enum vigie_verdict miss(struct cache_counters *counters, struct vigie_request *request,
			       const char *why)
{
	vigie_request_note(request, "cache", "%s", why);
	counters->misses++;
	return VIGIE_NEXT;
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct cache *cache = instance;
	const struct vigie_query *query = request->query;
	struct cache_counters *counters = &cache->counters[request->worker->index];
	uint64_t now_ms = request->worker->now_ms;
	const struct vigie_cached *cached;
	enum vigie_cached_kind kind;
	uint64_t age;

	if (!is_for(cache, query))
		return VIGIE_NEXT;
	cached = vigie_cache_find(cache->store, cache->part, query);
	if (!cached)
		return miss(counters, request, "not held");
	kind = vigie_cached_kind(cached);
	age = vigie_cached_age_ms(cached, now_ms) / 1000;
	if (age >= vigie_cached_lifetime(cached)) {
		if (!cache_may_be_stale(cache, cached, now_ms))
			return miss(counters, request, "held, but its lifetime is over");
		counters->hits[kind]++;
		return cache_serve_stale(cache, request, cached);
	}
	if (kind == VIGIE_CACHED_FAILURE && vigie_cached_may_ask(cached, cache->part, now_ms))
		return miss(counters, request, "a failure that may be tried again");
	counters->hits[kind]++;
	vigie_request_note(request, "cache", "hit, %u of %u s left",
			   vigie_cached_lifetime(cached) - (uint32_t)age, vigie_cached_lifetime(cached));
	vigie_cached_write(cached, request->answer, cache->keep_ttl ? 0 : (uint32_t)age, 0, UINT32_MAX);
	if (kind == VIGIE_CACHED_FAILURE) {
		const char *why = vigie_cached_why(cached);

		request->trouble = "cached failure of the upstream";
		vigie_answer_explain(request->answer, VIGIE_EDE_CACHED_ERROR, *why ? why : request->trouble);
	} else if (cache->prefetch.amount > 0) {
		cache_prefetch(cache, request, cached);
	}
	return VIGIE_ANSWERED;
}

/* RFC 9520 section 3.2: a second at first, then ever longer. */
static uint32_t failure_lifetime(const struct cache *cache, const struct vigie_query *query)
{
	const struct vigie_cached *before = vigie_cache_find(cache->store, cache->part, query);
	unsigned failures = 0;

	if (before && vigie_cached_kind(before) == VIGIE_CACHED_FAILURE)
		failures = vigie_cached_failures(before) + 1;
	return failures < 9 && 1U << failures < cache->failure_most ? 1U << failures : cache->failure_most;
}

/* For how long the reply is to be held; 0: not at all. Brings the answer's TTLs into the bounds. */
static uint32_t bound(const struct cache *cache, struct vigie_answer *answer,
		      const struct vigie_cache_reply *reply)
{
	const struct vigie_name *name = &answer->query->name;
	bool positive = reply->kind == VIGIE_CACHED_ANSWER;
	struct cache_bounds bounds = positive ? cache->success : cache->denial;
	uint32_t lifetime;

	if (reply->kind == VIGIE_CACHED_FAILURE)
		return failure_lifetime(cache, answer->query);
	if (zones_match(positive ? &cache->no_success : &cache->no_denial, name))
		return 0;
	if (!positive && !cache->denial_given && bounds.most > CACHE_CLUSTER_DENIAL_TTL &&
	    guard_is_cluster_name(cache->process, name))
		bounds.most = CACHE_CLUSTER_DENIAL_TTL;
	lifetime = reply->ttl < bounds.least ? bounds.least : reply->ttl;
	if (lifetime > bounds.most)
		lifetime = bounds.most;
	/* The SOA of a negative answer tells the next cache for how long (RFC 2308 section 3). */
	vigie_cache_clamp(answer, reply, bounds.least < bounds.most ? bounds.least : bounds.most,
			  positive ? bounds.most : lifetime);
	return lifetime;
}

static void answered(void *instance, struct vigie_request *request)
{
	struct cache *cache = instance;
	struct vigie_answer *answer = request->answer;
	struct vigie_cache_reply reply;
	uint32_t lifetime;

	if (!is_for(cache, request->query))
		return;
	if (request->source == VIGIE_SOURCE_LOCAL) {
		cache_refresh_refused(cache, request);
		return;
	}
	if (request->source == VIGIE_SOURCE_UPSTREAM)
		vigie_cache_part_heard(cache->part, request->worker->now_ms);
	else
		vigie_cache_part_unheard(cache->part);
	vigie_cache_classify(answer, &reply);
	lifetime = reply.cacheable ? bound(cache, answer, &reply) : 0;
	if (!(reply.kind != VIGIE_CACHED_ANSWER && cache_keep_older(cache, request, &reply, lifetime)) &&
	    lifetime > 0)
		vigie_cache_put(cache->store, cache->part, answer, &reply, lifetime, request->worker->now_ms);
}

const struct vigie_directive vigie_directive_cache = {
	.name = "cache",
	.role = VIGIE_ROLE_HOLDER,
	.setup = setup,
	.start = start,
	.stop = stop,
	.serve = serve,
	.answered = answered,
	.metrics = cache_add_metrics,
	.control = cache_control,
};

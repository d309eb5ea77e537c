/* Answers whose lifetime is over, or about to be: `serve_stale` and `prefetch`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "vigie/trace.h"

static struct cache_counters *counters_of(const struct cache *cache, const struct vigie_request *request)
{
	return &cache->counters[request->worker->index];
}

bool cache_may_be_stale(const struct cache *cache, const struct vigie_cached *cached, uint64_t now_ms)
{
	uint64_t lifetime_ms = (uint64_t)vigie_cached_lifetime(cached) * 1000;

	return vigie_cached_kind(cached) != VIGIE_CACHED_FAILURE &&
	       vigie_cached_age_ms(cached, now_ms) < lifetime_ms + cache->stale.window_ms;
}

/* Why there is nothing newer; NULL while nobody knows. */
static const char *why_stale(const struct cache *cache, const struct vigie_cached *cached)
{
	const struct cache_reason *reason = rcu_dereference(cache->reason);

	if (vigie_cached_failures(cached) > 0 || vigie_cache_part_silent(cache->part))
		return reason ? reason->text : NULL;
	return cache->stale.immediate ? NULL : "no reply in time";
}

static enum vigie_verdict give_stale(const struct cache *cache, struct vigie_request *request,
				     const struct vigie_cached *cached)
{
	uint32_t ttl = cache->stale.ttl;

	counters_of(cache, request)->stale++;
	vigie_request_note(request, "cache", "stale, %u s over its lifetime of %u s",
			   (uint32_t)(vigie_cached_age_ms(cached, request->worker->now_ms) / 1000) -
				   vigie_cached_lifetime(cached),
			   vigie_cached_lifetime(cached));
	vigie_cached_write(cached, request->answer, UINT32_MAX, ttl, ttl);
	vigie_answer_explain(request->answer,
			     vigie_cached_rcode(cached) == VIGIE_RCODE_NXDOMAIN ? VIGIE_EDE_STALE_NXDOMAIN
										: VIGIE_EDE_STALE,
			     why_stale(cache, cached));
	return VIGIE_ANSWERED;
}

static enum vigie_verdict give_fresh(const struct cache *cache, struct vigie_request *request,
				     const struct vigie_cached *cached)
{
	uint64_t age = vigie_cached_age_ms(cached, request->worker->now_ms) / 1000;

	vigie_request_note(request, "cache", "refreshed just now");
	vigie_cached_write(cached, request->answer, cache->keep_ttl ? 0 : (uint32_t)age, 0, UINT32_MAX);
	return VIGIE_ANSWERED;
}

static bool is_fresh(const struct vigie_cached *cached, uint64_t now_ms)
{
	return vigie_cached_age_ms(cached, now_ms) < (uint64_t)vigie_cached_lifetime(cached) * 1000;
}

/* The upstreams have said what they say, or the time is over. */
static enum vigie_verdict verified(struct vigie_request *request, const uint8_t *reply, size_t length,
				   void *argument)
{
	const struct cache *cache = argument;
	uint64_t now_ms = request->worker->now_ms;
	const struct vigie_cached *cached = vigie_cache_find(cache->store, cache->part, request->query);
	uint16_t rcode = reply ? vigie_reply_rcode(reply) : VIGIE_RCODE_SERVFAIL;
	bool kept = cached && !is_fresh(cached, now_ms) && cache_may_be_stale(cache, cached, now_ms);

	if (cached && is_fresh(cached, now_ms) && vigie_cached_kind(cached) != VIGIE_CACHED_FAILURE)
		return give_fresh(cache, request, cached);
	/* Only these two replace what is stale (RFC 8767 section 4); here it was one that is not to be held.
	 */
	if ((rcode == VIGIE_RCODE_NOERROR || rcode == VIGIE_RCODE_NXDOMAIN) &&
	    !(kept && cache->stale.prefer_positive) &&
	    vigie_answer_take(request->answer, reply, length) == VIGIE_OK)
		return VIGIE_ANSWERED;
	if (kept)
		return give_stale(cache, request, cached);
	if (reply && vigie_answer_take(request->answer, reply, length) == VIGIE_OK)
		return VIGIE_ANSWERED;
	return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL,
				  "no answer in time, and the stale one has gone");
}

/* In the background; the caller has claimed it. */
static void refresh(struct vigie_request *request, const struct vigie_cached *cached)
{
	if (!vigie_request_background(request))
		vigie_cached_unclaim(cached, request->worker->now_ms);
}

enum vigie_verdict cache_serve_stale(const struct cache *cache, struct vigie_request *request,
				     const struct vigie_cached *cached)
{
	uint64_t now_ms = request->worker->now_ms;
	const struct vigie_cached *newer;
	/* While the upstreams are gone nobody waits for them. */
	bool behind = cache->stale.immediate || vigie_cache_part_silent(cache->part);

	if (!vigie_cached_may_ask(cached, cache->part, now_ms))
		return give_stale(cache, request, cached);
	if (!behind)
		return vigie_request_await(request, cache->stale.timeout_ms, verified,
					   (void *)(uintptr_t)cache);
	if (vigie_cached_claim(cached, now_ms))
		refresh(request, cached);
	/* The refresh may have ended already. */
	newer = vigie_cache_find(cache->store, cache->part, request->query);
	if (newer && is_fresh(newer, now_ms) && vigie_cached_kind(newer) != VIGIE_CACHED_FAILURE)
		return give_fresh(cache, request, newer);
	return give_stale(cache, request, cached);
}

/* How long until the next try: what the option says, else ever longer (RFC 9520 section 3.2). */
static uint32_t hold_ms(const struct cache *cache, const struct vigie_cached *cached)
{
	unsigned failures = vigie_cached_failures(cached);

	if (cache->stale.recheck_given)
		return cache->stale.recheck_ms;
	return failures < 5 ? 1000U << failures : CACHE_RECHECK_MAX_MS;
}

void cache_refresh_refused(const struct cache *cache, const struct vigie_request *request)
{
	const struct vigie_cached *cached =
		request->background ? vigie_cache_find(cache->store, cache->part, request->query) : NULL;

	if (cached)
		vigie_cached_unclaim(cached, request->worker->now_ms);
}

static void on_reason_unread(struct rcu_head *head)
{
	free(caa_container_of(head, struct cache_reason, rcu));
}

static void note_reason(struct cache *cache, const char *why)
{
	struct cache_reason *before = rcu_dereference(cache->reason);
	struct cache_reason *reason;

	if (before && strncmp(before->text, why, sizeof(before->text) - 1) == 0)
		return;
	reason = malloc(sizeof(*reason));
	if (!reason)
		return;
	snprintf(reason->text, sizeof(reason->text), "%s", why);
	before = rcu_xchg_pointer(&cache->reason, reason);
	if (before)
		call_rcu(&before->rcu, on_reason_unread);
}

bool cache_keep_older(struct cache *cache, struct vigie_request *request,
		      const struct vigie_cache_reply *reply, uint32_t lifetime)
{
	uint64_t now_ms = request->worker->now_ms;
	const struct vigie_cached *cached;
	const char *why = request->answer->ede_text ? request->answer->ede_text : request->trouble;

	if (reply->kind != VIGIE_CACHED_FAILURE && !cache->stale.prefer_positive)
		return false;
	cached = vigie_cache_find(cache->store, cache->part, request->query);
	if (!cached || !cache_may_be_stale(cache, cached, now_ms))
		return false;
	if (reply->kind == VIGIE_CACHED_FAILURE) {
		counters_of(cache, request)->failed++;
		note_reason(cache, why ? why : "the upstream failed");
		vigie_cached_hold(cached, now_ms, hold_ms(cache, cached));
		return true;
	}
	if (vigie_cached_kind(cached) != VIGIE_CACHED_ANSWER)
		return false;
	vigie_cached_hold(cached, now_ms, lifetime * 1000);
	return true;
}

void cache_prefetch(const struct cache *cache, struct vigie_request *request,
		    const struct vigie_cached *cached)
{
	uint64_t now_ms = request->worker->now_ms;
	uint32_t lifetime = vigie_cached_lifetime(cached);
	uint64_t age = vigie_cached_age_ms(cached, now_ms) / 1000;
	uint64_t threshold = ((uint64_t)lifetime * cache->prefetch.percentage + 99) / 100;

	if (vigie_cached_hit(cached, now_ms, cache->prefetch.gap_ms, cache->prefetch.amount) <
	    cache->prefetch.amount)
		return;
	if (vigie_cached_kind(cached) == VIGIE_CACHED_FAILURE ||
	    lifetime - age > (threshold > 1 ? threshold : 1))
		return;
	if (!vigie_cached_may_ask(cached, cache->part, now_ms) || !vigie_cached_claim(cached, now_ms))
		return;
	counters_of(cache, request)->prefetches++;
	refresh(request, cached);
}

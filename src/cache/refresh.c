/* When an answer is refreshed, and when not. What is written here is shared by the workers; it is written on
 * failures, refreshes and, for `prefetch`, until an answer counts as popular. */
#include "store.h"

/* Entries are const for their readers but for what is theirs to change. */
static struct vigie_cached *mutable(const struct vigie_cached *cached)
{
	return (struct vigie_cached *)(uintptr_t)cached;
}

/* Milliseconds since it was stored: at most seven weeks, which nothing is held for. */
static uint32_t age(const struct vigie_cached *cached, uint64_t now_ms)
{
	uint64_t ms = vigie_cached_age_ms(cached, now_ms);

	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static uint32_t add(uint32_t a, uint32_t b)
{
	return a < UINT32_MAX - b ? a + b : UINT32_MAX;
}

void vigie_cache_part_heard(struct vigie_cache_part *part, uint64_t now_ms)
{
	uint32_t silences = __atomic_load_n(&part->silences, __ATOMIC_RELAXED);

	if (silences == 0)
		return;
	if (silences >= VIGIE_CACHE_SILENT)
		__atomic_store_n(&part->healed_ms, now_ms, __ATOMIC_RELAXED);
	__atomic_store_n(&part->silences, 0, __ATOMIC_RELAXED);
}

void vigie_cache_part_unheard(struct vigie_cache_part *part)
{
	if (__atomic_load_n(&part->silences, __ATOMIC_RELAXED) < VIGIE_CACHE_SILENT)
		__atomic_fetch_add(&part->silences, 1, __ATOMIC_RELAXED);
}

bool vigie_cache_part_silent(const struct vigie_cache_part *part)
{
	return __atomic_load_n(&part->silences, __ATOMIC_RELAXED) >= VIGIE_CACHE_SILENT;
}

/* One attempt in each period, whatever worker makes it. */
static bool may_attempt(struct vigie_cache_part *part, uint64_t now_ms)
{
	uint64_t next = __atomic_load_n(&part->attempt_ms, __ATOMIC_RELAXED);

	return now_ms >= next &&
	       __atomic_compare_exchange_n(&part->attempt_ms, &next, now_ms + VIGIE_CACHE_ATTEMPT_MS, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

bool vigie_cached_may_ask(const struct vigie_cached *cached, struct vigie_cache_part *part, uint64_t now_ms)
{
	uint32_t failed = __atomic_load_n(&cached->failed, __ATOMIC_RELAXED);
	uint64_t failed_ms = cached->stored_ms + failed;

	if (vigie_cache_part_silent(part))
		return may_attempt(part, now_ms);
	if (cached->kind != VIGIE_CACHED_FAILURE && failed == 0)
		return true;
	if (failed_ms <= __atomic_load_n(&part->healed_ms, __ATOMIC_RELAXED))
		return true;
	if (cached->kind == VIGIE_CACHED_FAILURE)
		return age(cached, now_ms) >= (uint64_t)cached->lifetime * 1000;
	return age(cached, now_ms) >= __atomic_load_n(&cached->retry, __ATOMIC_RELAXED);
}

bool vigie_cached_claim(const struct vigie_cached *cached, uint64_t now_ms)
{
	uint32_t claimed = __atomic_load_n(&cached->claimed, __ATOMIC_RELAXED);
	uint32_t now = age(cached, now_ms);

	return now >= claimed && __atomic_compare_exchange_n(&mutable(cached)->claimed, &claimed,
							     add(now, VIGIE_CACHE_CLAIM_MS), false,
							     __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void vigie_cached_unclaim(const struct vigie_cached *cached, uint64_t now_ms)
{
	__atomic_store_n(&mutable(cached)->claimed, add(age(cached, now_ms), VIGIE_CACHE_ATTEMPT_MS),
			 __ATOMIC_RELAXED);
}

void vigie_cached_hold(const struct vigie_cached *cached, uint64_t now_ms, uint32_t hold_ms)
{
	struct vigie_cached *held = mutable(cached);
	uint32_t now = age(cached, now_ms);
	uint8_t failures = __atomic_load_n(&held->failures, __ATOMIC_RELAXED);

	__atomic_store_n(&held->retry, add(now, hold_ms), __ATOMIC_RELAXED);
	__atomic_store_n(&held->failed, now > 0 ? now : 1, __ATOMIC_RELAXED);
	if (failures < UINT8_MAX)
		__atomic_store_n(&held->failures, (uint8_t)(failures + 1), __ATOMIC_RELAXED);
	__atomic_store_n(&held->claimed, 0, __ATOMIC_RELAXED);
}

unsigned vigie_cached_failures(const struct vigie_cached *cached)
{
	return __atomic_load_n(&cached->failures, __ATOMIC_RELAXED);
}

unsigned vigie_cached_hit(const struct vigie_cached *cached, uint64_t now_ms, uint32_t gap_ms, unsigned most)
{
	struct vigie_cached *hit = mutable(cached);
	uint32_t now = age(cached, now_ms);
	uint32_t last = __atomic_load_n(&hit->last_hit, __ATOMIC_RELAXED);
	uint16_t hits = __atomic_load_n(&hit->hits, __ATOMIC_RELAXED);

	if (now > last && now - last > gap_ms)
		hits = 0;
	/* An answer that is popular already is not written for each hit, only each sixteenth of the gap. */
	if (now > last && now - last > gap_ms / 16)
		__atomic_store_n(&hit->last_hit, now, __ATOMIC_RELAXED);
	if (hits < most && hits < UINT16_MAX)
		__atomic_store_n(&hit->hits, ++hits, __ATOMIC_RELAXED);
	return hits;
}

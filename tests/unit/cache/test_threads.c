/* Workers read and store at the same time, far beyond the budget and CAPACITY, while others save and flush:
 * each answer that is found is whole, and the one that belongs to its question. Run under ThreadSanitizer,
 * too. */
#include "reply.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "store.h"
#include "vigie/hash.h"

enum {
	WORKERS = 3,
	TURNS = 30000,
	NAMES = 20000,   /* some 3 MB in a store of 1 */
	CAPACITY = 3000, /* some of which it has room for */
	BATCH = 16       /* look-ups between two quiescent states, as of a worker */
};

#ifdef __SANITIZE_THREAD__
void __tsan_release(void *address);
#endif

struct shared {
	struct vigie_cache *cache;
	struct vigie_cache_part *part;
	atomic_ulong found;
	atomic_ulong wrong;
	atomic_uint seed;
	atomic_bool ended; /* the workers have */
	unsigned saved;
	unsigned flushed;
	char path[64];
};

/* liburcu is not instrumented: tells ThreadSanitizer what segment.c takes from it. */
static void pass_quiescent_state(struct vigie_cache *cache)
{
#ifdef __SANITIZE_THREAD__
	for (size_t i = 0; i < cache->segment_count; i++)
		__tsan_release(&cache->segments[i].usable);
#endif
	rcu_quiescent_state();
}

static uint32_t next(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}

/* Every record's RDATA is the number in the name. */
static bool is_right(struct reply *reply, const struct vigie_cached *cached, uint32_t number)
{
	size_t at = VIGIE_HEADER_SIZE + vigie_query_question_length(&reply->query);

	vigie_cached_write(cached, &reply->answer, 1, 0, UINT32_MAX);
	if (reply->answer.count[VIGIE_ANSWER] != number % 5 + 1)
		return false;
	for (; at < reply->answer.length; at += reply->query.name.length + 14U) {
		if (memcmp(reply->buffer + at + reply->query.name.length + 10, &number, 4) != 0)
			return false;
	}
	return at == reply->answer.length;
}

static void *work(void *argument)
{
	struct shared *shared = argument;
	struct reply *reply = malloc(sizeof(*reply));
	uint32_t state = atomic_fetch_add(&shared->seed, 12345);

	rcu_register_thread();
	for (int turn = 0; turn < TURNS; turn++) {
		/* Half of the turns ask for a few names. */
		uint32_t number = next(&state) % (next(&state) % 2 ? NAMES : 100);
		const struct vigie_cached *cached;
		char name[40];

		if (turn % BATCH == 0)
			pass_quiescent_state(shared->cache);
		snprintf(name, sizeof(name), "%u.example.org.", number);
		reply_begin(reply, name, VIGIE_TYPE_A, "", VIGIE_MESSAGE_MAX);
		cached = vigie_cache_find(shared->cache, shared->part, &reply->query);
		if (cached) {
			atomic_fetch_add(&shared->found, 1);
			if (!is_right(reply, cached, number))
				atomic_fetch_add(&shared->wrong, 1);
			continue;
		}
		for (uint32_t i = 0; i <= number % 5; i++)
			reply_address(reply, name, 60, number);
		reply_classify(reply);
		vigie_cache_put(shared->cache, shared->part, &reply->answer, &reply->shape, 60, 1000);
	}
	pass_quiescent_state(shared->cache);
	rcu_unregister_thread();
	free(reply);
	return NULL;
}

static bool is_even(void *argument, const struct vigie_cached *cached)
{
	struct shared *shared = argument;

	shared->flushed += cached->hash % 2 == 0;
	return cached->hash % 2 == 0;
}

/* What the main thread and libuv's pool do meanwhile; once at least when something is stored. */
static void *disturb(void *argument)
{
	struct shared *shared = argument;
	struct vigie_error error;
	size_t cursor;

	rcu_register_thread();
	do {
		cursor = 0;
		while (vigie_cache_flush(shared->cache, &cursor, is_even, shared))
			pass_quiescent_state(shared->cache);
		rcu_thread_offline();
		shared->saved += vigie_cache_save(shared->cache, shared->path, &error) == VIGIE_OK;
		rcu_thread_online();
	} while (!atomic_load(&shared->ended) || shared->flushed == 0);
	rcu_unregister_thread();
	return NULL;
}

static void test_workers(void **state)
{
	struct shared shared = {.cache = vigie_cache_new(VIGIE_CACHE_BUDGET_MIN)};
	struct vigie_cache_count count;
	pthread_t workers[WORKERS];
	pthread_t disturber;
	struct vigie_error error;
	size_t loaded;

	vigie_hash_init();
	assert_non_null(shared.cache);
	shared.part = vigie_cache_part_acquire(shared.cache, 1);
	assert_int_equal(vigie_cache_part_limit(shared.cache, shared.part, true, CAPACITY), VIGIE_OK);
	snprintf(shared.path, sizeof(shared.path), "/tmp/vigie-threads-%d", (int)getpid());
	assert_int_equal(pthread_create(&disturber, NULL, disturb, &shared), 0);
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&workers[i], NULL, work, &shared), 0);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	atomic_store(&shared.ended, true);
	pthread_join(disturber, NULL);
	assert_int_equal(atomic_load(&shared.wrong), 0);
	assert_true(atomic_load(&shared.found) > TURNS / 4);
	vigie_cache_count(shared.cache, &count);
	assert_true(count.bytes <= count.budget);
	assert_true(count.evicted > 0);
	assert_true(count.entries[VIGIE_CACHED_ANSWER] <= CAPACITY);
	assert_true(shared.saved > 0 && shared.flushed > 0);
	assert_int_equal(vigie_cache_load(shared.cache, shared.path, &loaded, &error), VIGIE_OK);
	unlink(shared.path);
	vigie_cache_part_release(shared.cache, shared.part);
	vigie_cache_free(shared.cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_workers)};

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}

/* The index of a shard: what is added is found, whatever its hash, until it is removed. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store.h"

enum { ENTRIES = 4096, BUCKETS = 128, PLACES = BUCKETS * INDEX_BUCKET, MOVES = 2000 };

static struct shard shards[1];
static struct shard *const shard = shards;
static struct vigie_cache cache = {.shards = shards};
static struct vigie_cached *entries;

static int setup(void **state)
{
	rcu_register_thread();
	entries = calloc(ENTRIES, sizeof(*entries));
	assert_non_null(entries);
	cache.bytes = (uint8_t *)entries;
	shard->index = vigie_index_new(BUCKETS);
	assert_non_null(shard->index);
	return 0;
}

static int teardown(void **state)
{
	rcu_quiescent_state();
	rcu_barrier(); /* smaller indexes that this one grew out of */
	vigie_index_free(shard->index);
	free(entries);
	rcu_unregister_thread();
	return 0;
}

static bool is_same(const struct vigie_cached *cached, const void *wanted)
{
	return cached == wanted;
}

static bool is_held(const struct vigie_cached *cached)
{
	return vigie_index_find(&cache, shard, cached->hash, is_same, cached) == cached;
}

/* Numbers that look like hashes, the same in every run. */
static uint64_t scatter(uint64_t number)
{
	number = (number + 1) * 0x9e3779b97f4a7c15;
	number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9;
	number = (number ^ number >> 27) * 0x94d049bb133111eb;
	return number ^ number >> 31;
}

static unsigned fill(void)
{
	unsigned count = 0;

	while (!vigie_index_is_full(shard)) {
		entries[count].hash = scatter(count);
		assert_true(vigie_index_add(&cache, shard, &entries[count]));
		count++;
	}
	return count;
}

/* It grows until it may not any more, and has a place for everybody until it is full. */
static void test_full(void **state)
{
	unsigned count = fill();

	assert_int_equal(count, PLACES * INDEX_FULL / 16);
	for (unsigned i = 0; i < count; i++)
		assert_true(is_held(&entries[i]));
	entries[count].hash = scatter(count);
	assert_false(is_held(&entries[count]));
	for (unsigned i = 0; i < count; i += 2)
		vigie_index_remove(&cache, shard, &entries[i]);
	assert_false(vigie_index_is_full(shard));
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(is_held(&entries[i]), i % 2);
}

/* However often entries come and go, none is lost and none refused. */
static void test_turnover(void **state)
{
	unsigned count = fill();

	for (unsigned i = 0; i < 50 * PLACES; i++) {
		struct vigie_cached *cached = &entries[i % count];

		vigie_index_remove(&cache, shard, cached);
		assert_false(is_held(cached));
		cached->hash = scatter(count + i);
		assert_true(vigie_index_add(&cache, shard, cached));
	}
	for (unsigned i = 0; i < count; i++)
		assert_true(is_held(&entries[i]));
}

/* Entries of one hash have two buckets at most; then there is no place, and nothing is lost. */
static void test_one_hash(void **state)
{
	unsigned count = 0;

	for (unsigned i = 0; i < ENTRIES; i++)
		entries[i].hash = 7;
	while (count < ENTRIES && vigie_index_add(&cache, shard, &entries[count]))
		count++;
	assert_in_range(count, INDEX_BUCKET, 2 * INDEX_BUCKET);
	for (unsigned i = 0; i < count; i++)
		assert_true(is_held(&entries[i]));
	assert_false(is_held(&entries[count]));
}

static void test_replaced(void **state)
{
	entries[0].hash = entries[1].hash = 0;
	assert_true(vigie_index_add(&cache, shard, &entries[0]));
	vigie_index_replace(&cache, shard, &entries[0], &entries[1]);
	assert_false(is_held(&entries[0]));
	assert_true(is_held(&entries[1]));
}

static void *look(void *stop)
{
	unsigned *missed = calloc(1, sizeof(*missed));

	rcu_register_thread();
	while (!__atomic_load_n((bool *)stop, __ATOMIC_ACQUIRE)) {
		for (unsigned i = 0; i < PLACES / 2; i++)
			*missed += !is_held(&entries[i]);
		rcu_quiescent_state();
	}
	rcu_unregister_thread();
	return missed;
}

/* Whoever looks while an entry goes to its other bucket finds it. */
static void test_moves(void **state)
{
	unsigned count = fill();
	bool stop = false;
	pthread_t thread;
	void *missed;

	assert_int_equal(pthread_create(&thread, NULL, look, &stop), 0);
	for (unsigned i = 0; i < MOVES * PLACES / 2; i++) {
		struct vigie_cached *cached = &entries[PLACES / 2 + i % (count - PLACES / 2)];

		vigie_index_remove(&cache, shard, cached);
		cached->hash = scatter(count + i);
		assert_true(vigie_index_add(&cache, shard, cached));
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	rcu_thread_offline();
	assert_int_equal(pthread_join(thread, &missed), 0);
	rcu_thread_online();
	assert_int_equal(*(unsigned *)missed, 0);
	free(missed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_turnover, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_hash, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moves, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

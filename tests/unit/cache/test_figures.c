/* The cache's figures: what it takes of memory after many unique names, and what a flood of names that nobody
 * asks for again costs those that many ask for. It prints both:
 *
 *     NAMES=10000000 BUDGET_MIB=64 build/tests/unit/cache/test_figures */
#include "reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "store.h"
#include "vigie/hash.h"

enum {
	HOT_PARTS = 4, /* the hot set has a quarter of what is held */
	COLD = 5,      /* random names between two questions of it: a cache that keeps what was asked for last
			  loses all */
	ROUNDS = 4     /* the hot set is asked for so often during the flood, which is 5 times what is held */
};

static struct vigie_cache *cache;
static struct vigie_cache_part *part;
static struct reply reply;

static uint64_t number(const char *variable, uint64_t usual)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 10) : usual;
}

/* Bytes of memory that the process has. */
static uint64_t resident(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	uint64_t pages = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*u %" SCNu64, &pages), 1);
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int setup(void **state)
{
	rcu_register_thread();
	vigie_hash_init();
	cache = vigie_cache_new(number("BUDGET_MIB", 24) << 20);
	assert_non_null(cache);
	part = vigie_cache_part_acquire(cache, 1);
	assert_non_null(part);
	return 0;
}

static int teardown(void **state)
{
	vigie_cache_part_release(cache, part);
	vigie_cache_free(cache);
	rcu_unregister_thread();
	return 0;
}

static bool is_held(const char *name)
{
	reply_begin(&reply, name, VIGIE_TYPE_A, "", VIGIE_MESSAGE_MAX);
	return vigie_cache_find(cache, part, &reply.query) != NULL;
}

/* Asks for a name as a client does: what is not held is asked for elsewhere and stored. Whether it was held.
 */
static bool ask(const char *name, uint32_t mark)
{
	bool held = is_held(name);

	if (held)
		return true;
	reply_address(&reply, name, 60, mark);
	reply_classify(&reply);
	while (vigie_cache_put(cache, part, &reply.answer, &reply.shape, 60, 1000)) {
		rcu_quiescent_state();
		rcu_barrier();
	}
	return false;
}

static uint64_t entries(void)
{
	struct vigie_cache_part_count count;

	vigie_cache_part_count(part, &count);
	return count.entries[VIGIE_CACHED_ANSWER];
}

/* The budget and 8 % are all that it takes. */
static void test_memory(void **state)
{
	uint64_t names = number("NAMES", 200000);
	uint64_t before = resident();
	uint64_t took;
	char name[64];

	for (uint64_t i = 0; i < names; i++) {
		snprintf(name, sizeof(name), "name-%" PRIu64 ".example.org.", i);
		ask(name, (uint32_t)i);
	}
	took = resident() - before;
	print_message("# %" PRIu64 " unique names, budget %zu: %" PRIu64 " answers held, %" PRIu64
		      " bytes of memory (%.1f %% of the budget)\n",
		      names, cache->budget, entries(), took, 100.0 * (double)took / (double)cache->budget);
	assert_true(entries() > 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_true(took <= cache->budget + cache->budget * 8 / 100);
#endif
}

/* Asks for the hot set ROUNDS times, with `flood` names that nobody else asks for behind each question.
 * Returns the hits. */
static uint64_t ask_hot(uint64_t hot, unsigned flood, uint64_t *cold)
{
	uint64_t hits = 0;
	char name[64];

	for (uint64_t turn = 0; turn < ROUNDS * hot; turn++) {
		snprintf(name, sizeof(name), "hot-%" PRIu64 ".example.org.", turn % hot);
		hits += ask(name, 1);
		for (unsigned i = 0; i < flood; i++) {
			snprintf(name, sizeof(name), "cold-%" PRIu64 ".example.org.", (*cold)++);
			ask(name, 2);
		}
	}
	return hits;
}

/* The hot set is asked for all the while: of its questions at most one in a hundred more is a miss. */
static void test_flood(void **state)
{
	uint64_t capacity;
	uint64_t hot;
	uint64_t cold = 0;
	uint64_t hits[2];
	char name[64];
	uint64_t held;

	do { /* as many as there is room for */
		held = entries();
		for (int i = 0; i < 1000; i++) {
			snprintf(name, sizeof(name), "fill-%" PRIu64 ".example.org.", cold++);
			ask(name, 0);
		}
	} while (entries() > held);
	capacity = held;
	hot = capacity / HOT_PARTS;
	for (int flood = 0; flood < 2; flood++) {
		ask_hot(hot, 0, &cold); /* it is known from then on */
		hits[flood] = ask_hot(hot, flood ? COLD : 0, &cold);
	}
	print_message("# hot set of %" PRIu64 " names, flood of %" PRIu64
		      " (%.1f x what is held): hit ratio %.3f %% before, "
		      "%.3f %% during it\n",
		      hot, COLD * ROUNDS * hot, (double)(COLD * ROUNDS * hot) / (double)capacity,
		      100.0 * (double)hits[0] / (double)(ROUNDS * hot),
		      100.0 * (double)hits[1] / (double)(ROUNDS * hot));
	assert_true(hits[0] <= hits[1] + ROUNDS * hot / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
	};

	return cmocka_run_group_tests_name("figures", tests, NULL, NULL);
}

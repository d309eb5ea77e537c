/* The store: what is held, for which question, and what has to go when the budget is used up. */
#include "reply.h"

#include <stdio.h>
#include <urcu-qsbr.h>

#include "../hash_key.h"
#include "store.h"

static struct vigie_cache *cache;
static struct vigie_cache_part *part;
static struct reply reply;

static int setup(void **state)
{
	rcu_register_thread();
	fix_hash_key();
	cache = vigie_cache_new(VIGIE_CACHE_BUDGET_MIN);
	assert_non_null(cache);
	part = vigie_cache_part_acquire(cache, 1);
	assert_non_null(part);
	return 0;
}

static int teardown(void **state)
{
	rcu_quiescent_state();
	vigie_cache_part_release(cache, part);
	vigie_cache_free(cache);
	rcu_unregister_thread();
	return 0;
}

/* Stores what `reply` holds; waits for segments to be free again where a server would do without. */
static void store(struct vigie_cache_part *into)
{
	reply_classify(&reply);
	for (int tries = 0; vigie_cache_put(cache, into, &reply.answer, &reply.shape, 60, 1000); tries++) {
		assert_true(tries < 64); /* all of the small queue may have to be moved */
		rcu_quiescent_state();
		rcu_barrier();
	}
}

static void store_address(const char *name, uint32_t mark)
{
	reply_begin(&reply, name, VIGIE_TYPE_A, "", VIGIE_MESSAGE_MAX);
	reply_address(&reply, name, 60, mark);
	store(part);
}

static void store_denial(const char *name)
{
	reply_begin(&reply, name, VIGIE_TYPE_A, "", VIGIE_MESSAGE_MAX);
	reply.answer.rcode = VIGIE_RCODE_NXDOMAIN;
	reply_soa(&reply, "org.", 60, 60);
	store(part);
}

static const struct vigie_cached *find(const struct vigie_cache_part *in, const char *name, uint16_t type,
				       const char *options)
{
	reply_begin(&reply, name, type, options, VIGIE_MESSAGE_MAX);
	return vigie_cache_find(cache, in, &reply.query);
}

static bool is_held(const char *name)
{
	return find(part, name, VIGIE_TYPE_A, "") != NULL;
}

static void store_many(const char *prefix, bool read)
{
	char name[64];

	for (unsigned i = 0; i < 30000; i++) {
		snprintf(name, sizeof(name), "%s-%u.example.org.", prefix, i);
		store_address(name, i);
		if (read)
			assert_true(is_held(name));
	}
}

static void test_key(void **state)
{
	struct vigie_cache_part *other = vigie_cache_part_acquire(cache, 2);

	store_address("www.example.org.", 1);
	assert_true(is_held("www.example.org."));
	assert_true(is_held("WWW.example.ORG."));
	assert_false(is_held("ww.example.org."));
	assert_null(find(part, "www.example.org.", VIGIE_TYPE_AAAA, ""));
	assert_non_null(find(part, "www.example.org.", VIGIE_TYPE_A, "edns"));
	assert_null(find(part, "www.example.org.", VIGIE_TYPE_A, "do"));
	assert_null(find(part, "www.example.org.", VIGIE_TYPE_A, "cd"));
	assert_null(find(other, "www.example.org.", VIGIE_TYPE_A, ""));
	assert_ptr_equal(vigie_cache_part_acquire(cache, 1), part);
	vigie_cache_part_release(cache, part);
	vigie_cache_part_release(cache, other);
}

static void store_failure(const char *name, const char *why)
{
	reply_begin(&reply, name, VIGIE_TYPE_A, "", VIGIE_MESSAGE_MAX);
	reply.answer.rcode = VIGIE_RCODE_SERVFAIL;
	vigie_answer_explain(&reply.answer, VIGIE_EDE_OTHER, why);
	store(part);
}

static void test_why(void **state)
{
	char longer[300] = "";

	memset(longer, 'x', sizeof(longer) - 1);
	store_failure("a.org.", "10.0.0.53:53: i/o timeout");
	store_failure("b.org.", NULL);
	store_failure("c.org.", longer);
	store_denial("d.org.");
	for (int i = 0; i < 2; i++) {
		assert_string_equal(vigie_cached_why(find(part, "a.org.", VIGIE_TYPE_A, "")),
				    "10.0.0.53:53: i/o timeout");
		assert_string_equal(vigie_cached_why(find(part, "b.org.", VIGIE_TYPE_A, "")), "");
		assert_int_equal(strlen(vigie_cached_why(find(part, "c.org.", VIGIE_TYPE_A, ""))), WHY_MAX);
		assert_string_equal(vigie_cached_why(find(part, "d.org.", VIGIE_TYPE_A, "")), "");
		/* It moves along when an entry is copied to make room. */
		for (unsigned k = 0; i == 0 && k < 3000; k++) {
			char name[64];

			snprintf(name, sizeof(name), "flood-%u.org.", k);
			store_failure(name, "something else");
			assert_true(is_held("a.org.") && is_held("b.org.") && is_held("c.org.") &&
				    is_held("d.org."));
		}
	}
}

/* What was stored is written back byte for byte but for the TTLs. */
static void test_write(void **state)
{
	uint8_t stored[512];
	size_t length;

	reply_begin(&reply, "www.example.org.", VIGIE_TYPE_A, "", VIGIE_MESSAGE_MAX);
	reply.answer.flags = VIGIE_FLAG_AA | VIGIE_FLAG_AD | VIGIE_FLAG_RA;
	reply_name(&reply, VIGIE_ANSWER, "www.example.org.", VIGIE_TYPE_CNAME, 300, "a.example.org.");
	reply_address(&reply, "a.example.org.", 90, 0x01020304);
	reply_name(&reply, VIGIE_AUTHORITY, "example.org.", VIGIE_TYPE_NS, 80, "ns.example.org.");
	reply_add(&reply, VIGIE_ADDITIONAL, "ns.example.org.", VIGIE_TYPE_A, 70, "\x7f\0\0\1", 4);
	store(part);
	length = vigie_answer_end(&reply.answer);
	memcpy(stored, reply.buffer, length);
	for (unsigned i = 0; i < 4; i++)
		stored[reply.shape.at[i] + 3] = (uint8_t)(stored[reply.shape.at[i] + 3] - 10);

	vigie_cached_write(find(part, "www.example.org.", VIGIE_TYPE_A, ""), &reply.answer, 10, 0,
			   UINT32_MAX);
	assert_int_equal(reply.answer.length, length);
	assert_int_equal(vigie_answer_end(&reply.answer), length);
	memcpy(stored + 2, reply.buffer + 2, 2); /* flags are compared below */
	assert_memory_equal(reply.buffer, stored, length);
	/* (The end of an answer leaves AD out for a query like this one.) */
	assert_int_equal(reply.answer.flags, VIGIE_FLAG_AA | VIGIE_FLAG_AD | VIGIE_FLAG_RA);
}

static void assert_ttl(uint32_t age, uint32_t least, uint32_t most, uint8_t expected)
{
	size_t at;

	vigie_cached_write(find(part, "www.example.org.", VIGIE_TYPE_A, ""), &reply.answer, age, least, most);
	at = reply.answer.length - 4 - 2 - 4;
	assert_memory_equal(reply.buffer + at, "\0\0\0", 3);
	assert_int_equal(reply.buffer[at + 3], expected);
}

static void test_ttl(void **state)
{
	store_address("www.example.org.", 1);
	assert_ttl(0, 0, UINT32_MAX, 60);
	assert_ttl(59, 0, UINT32_MAX, 1);
	assert_ttl(100, 0, UINT32_MAX, 0);
	assert_ttl(UINT32_MAX, 30, 30, 30);
	assert_ttl(50, 0, 5, 5);
}

/* For every size from the header on: whole records, TC, and never a byte more. */
static void test_cut(void **state)
{
	size_t whole;

	reply_begin(&reply, "a.org.", VIGIE_TYPE_A, "", VIGIE_MESSAGE_MAX);
	for (uint32_t i = 0; i < 40; i++)
		reply_address(&reply, "a.org.", 60, i);
	reply_name(&reply, VIGIE_AUTHORITY, "org.", VIGIE_TYPE_NS, 60, "ns.org.");
	reply_add(&reply, VIGIE_ADDITIONAL, "ns.org.", VIGIE_TYPE_A, 60, "\x7f\0\0\1", 4);
	whole = reply.answer.length;
	store(part);
	for (size_t limit = 512; limit <= whole + 1; limit++) {
		struct vigie_cache_reply shape;

		reply_begin(&reply, "a.org.", VIGIE_TYPE_A, "", limit);
		vigie_cached_write(vigie_cache_find(cache, part, &reply.query), &reply.answer, 0, 0,
				   UINT32_MAX);
		assert_true(reply.answer.length <= limit);
		assert_int_equal((reply.answer.flags & VIGIE_FLAG_TC) != 0,
				 reply.answer.count[VIGIE_AUTHORITY] == 0);
		vigie_cache_classify(&reply.answer, &shape);
		assert_int_equal(shape.count,
				 reply.answer.count[0] + reply.answer.count[1] + reply.answer.count[2]);
		assert_int_equal(shape.count == 42, limit >= whole);
	}
}

static void test_replace(void **state)
{
	struct vigie_cache_part_count count;

	store_address("www.example.org.", 1);
	store_address("www.example.org.", 2);
	vigie_cache_part_count(part, &count);
	assert_int_equal(count.entries[VIGIE_CACHED_ANSWER], 1);
	vigie_cached_write(find(part, "www.example.org.", VIGIE_TYPE_A, ""), &reply.answer, 0, 0, UINT32_MAX);
	assert_int_equal(reply.buffer[reply.answer.length - 4], 2);
	store_denial("www.example.org.");
	vigie_cache_part_count(part, &count);
	assert_int_equal(count.entries[VIGIE_CACHED_ANSWER], 0);
	assert_int_equal(count.entries[VIGIE_CACHED_NXDOMAIN], 1);
}

/* An entry of VIGIE_CACHE_ENTRY_MAX bytes is kept, a longer one is not. */
static void test_long_answer(void **state)
{
	static uint8_t rdata[VIGIE_CACHE_ENTRY_MAX];
	size_t key = offsetof(struct vigie_cached, bytes) + 2 + 12 + 7;
	size_t fits = VIGIE_CACHE_ENTRY_MAX - key - 5;

	for (size_t length = fits - 3; length <= fits + 6; length++) {
		enum vigie_status status;

		reply_begin(&reply, "a.org.", VIGIE_TYPE_TXT, "", VIGIE_MESSAGE_MAX);
		reply_add(&reply, VIGIE_ANSWER, "a.org.", VIGIE_TYPE_TXT, 60, rdata, length);
		reply_classify(&reply);
		status = vigie_cache_put(cache, part, &reply.answer, &reply.shape, 60, 1000);
		assert_int_equal(status, length <= fits ? VIGIE_OK : VIGIE_ENOSPC);
	}
}

static void assert_in_budget(void)
{
	struct vigie_cache_count count;

	vigie_cache_count(cache, &count);
	assert_true(count.bytes <= count.budget);
	assert_int_equal(count.budget, VIGIE_CACHE_BUDGET_MIN);
}

/* 100 names that are asked for stay while 20 times more bytes than the budget go by. */
static void test_flood(void **state)
{
	unsigned lost = 0;
	char name[64];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "hot-%u.example.org.", i);
		store_address(name, i);
		assert_true(is_held(name));
	}
	for (unsigned i = 0; i < 150000; i++) {
		snprintf(name, sizeof(name), "cold-%u.example.org.", i);
		if (i % 2)
			store_address(name, i);
		else
			store_denial(name);
		snprintf(name, sizeof(name), "hot-%u.example.org.", i / 50 % 100);
		if (i % 50 == 0 && !is_held(name))
			lost++;
		if (i % 100 == 0)
			assert_in_budget();
	}
	assert_int_equal(lost, 0);
	assert_false(is_held("cold-1.example.org."));
	assert_true(is_held("cold-149999.example.org."));
}

/* A reader that stays keeps what was evicted from being written again: new answers are refused then, and what
 * is asked for is not lost for want of room to keep it in. */
static void test_slow_reader(void **state)
{
	unsigned first = 0, refused = 0;
	char name[64];

	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "hot-%u.example.org.", i);
		store_address(name, i);
		for (unsigned reads = 0; i % 2 && reads < 3; reads++)
			assert_true(is_held(name));
	}
	rcu_quiescent_state();
	rcu_barrier();
	while (snprintf(name, sizeof(name), "hot-%u.example.org.", 2 * first + 1) && !is_held(name))
		first++;
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "cold-%u.example.org.", i);
		reply_begin(&reply, name, VIGIE_TYPE_A, "", VIGIE_MESSAGE_MAX);
		reply_address(&reply, name, 60, i);
		reply_classify(&reply);
		refused += vigie_cache_put(cache, part, &reply.answer, &reply.shape, 60, 1000) != VIGIE_OK;
	}
	assert_true(refused > 0);
	for (unsigned i = first; i < 5000; i++) {
		snprintf(name, sizeof(name), "hot-%u.example.org.", 2 * i + 1);
		assert_true(is_held(name));
	}
}

/* What nobody asks for goes though it once was asked for. */
static void test_nothing_is_for_ever(void **state)
{
	store_address("once.example.org.", 1);
	for (int i = 0; i < 10; i++)
		assert_true(is_held("once.example.org."));
	store_many("a", true); /* all of these go to the main queue */
	store_many("b", true);
	assert_false(is_held("once.example.org."));
	assert_in_budget();
}

/* Denials alone fill a quarter; answers that were there first keep the rest. */
static void test_negative_share(void **state)
{
	struct vigie_cache_part_count before;
	struct vigie_cache_part_count after;
	char name[64];

	for (unsigned i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "yes-%u.example.org.", i);
		store_address(name, i);
	}
	vigie_cache_part_count(part, &before);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "no-%u.example.org.", i);
		store_denial(name);
	}
	vigie_cache_part_count(part, &after);
	assert_true(after.entries[VIGIE_CACHED_ANSWER] >= before.entries[VIGIE_CACHED_ANSWER] * 65 / 100);
	assert_true(after.entries[VIGIE_CACHED_NXDOMAIN] <= before.entries[VIGIE_CACHED_ANSWER] * 30 / 100);
	assert_true(after.entries[VIGIE_CACHED_NXDOMAIN] > before.entries[VIGIE_CACHED_ANSWER] * 10 / 100);
}

/* What has left unread and is asked for again goes to the main queue at once, unless its fingerprint was
 * overwritten meanwhile. */
static void test_ghost(void **state)
{
	unsigned held = 0;
	char name[64];

	store_many("a", false);
	for (unsigned i = 22000; i < 22100; i++) {
		snprintf(name, sizeof(name), "a-%u.example.org.", i);
		assert_false(is_held(name)); /* it left the small queue not long ago */
		store_address(name, i);
	}
	store_many("b", false);
	for (unsigned i = 22000; i < 22100; i++) {
		snprintf(name, sizeof(name), "a-%u.example.org.", i);
		held += is_held(name);
	}
	assert_in_range(held, 50, 99);
	assert_false(is_held("a-22100.example.org."));
	assert_false(is_held("b-1.example.org."));
}

/* A part that nobody uses any more goes when its last answer has gone, and not before. */
static void test_parts(void **state)
{
	struct vigie_cache_part *old = vigie_cache_part_acquire(cache, 7);

	reply_begin(&reply, "kept.example.org.", VIGIE_TYPE_A, "", VIGIE_MESSAGE_MAX);
	reply_address(&reply, "kept.example.org.", 60, 1);
	store(old);
	vigie_cache_part_release(cache, old);
	assert_ptr_equal(vigie_cache_part_acquire(cache, 7), old);
	assert_non_null(find(old, "kept.example.org.", VIGIE_TYPE_A, ""));
	vigie_cache_part_release(cache, old);
	assert_int_equal(cache->part_count, 2);
	store_many("a", true);
	vigie_cache_part_release(cache, vigie_cache_part_acquire(cache, 1));
	assert_int_equal(cache->part_count, 1);
}

static uint64_t positive_entries(void)
{
	struct vigie_cache_part_count count;

	vigie_cache_part_count(part, &count);
	return count.entries[VIGIE_CACHED_ANSWER];
}

/* No more answers than CAPACITY, however much room there is; what is read stays, and denials are counted
 * apart. */
static void test_capacity(void **state)
{
	struct vigie_cache_part_count count;
	char name[64];

	assert_int_equal(vigie_cache_part_limit(cache, part, true, VIGIE_CACHE_CAPACITY_MIN), VIGIE_OK);
	for (unsigned i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "kept-%u.example.org.", i);
		store_address(name, i);
		store_address(name, i); /* the same question once more takes no place */
		store_denial("no.example.org.");
	}
	assert_int_equal(positive_entries(), 10);
	for (unsigned i = 0; i < 3 * VIGIE_CACHE_CAPACITY_MIN; i++) {
		for (unsigned kept = 0; kept < 10; kept++) {
			snprintf(name, sizeof(name), "kept-%u.example.org.", kept);
			assert_true(is_held(name));
		}
		snprintf(name, sizeof(name), "once-%u.example.org.", i);
		store_address(name, i);
		assert_true(is_held(name));
		assert_true(positive_entries() <= VIGIE_CACHE_CAPACITY_MIN);
	}
	assert_int_equal(positive_entries(), VIGIE_CACHE_CAPACITY_MIN);
	vigie_cache_part_count(part, &count);
	assert_int_equal(count.evicted[VIGIE_CACHED_ANSWER], 2 * VIGIE_CACHE_CAPACITY_MIN + 10);
	assert_int_equal(count.entries[VIGIE_CACHED_NXDOMAIN], 1);
	for (unsigned i = 0; i < VIGIE_CACHE_CAPACITY_MIN + 100; i++) {
		snprintf(name, sizeof(name), "no-%u.example.org.", i);
		store_denial(name);
	}
	vigie_cache_part_count(part, &count);
	assert_int_equal(count.entries[VIGIE_CACHED_NXDOMAIN], VIGIE_CACHE_CAPACITY_MIN + 101);
	/* A name that is denied now makes room for another answer. */
	for (unsigned i = 0; i < VIGIE_CACHE_CAPACITY_MIN; i++) {
		snprintf(name, sizeof(name), "once-%u.example.org.", i + 2 * VIGIE_CACHE_CAPACITY_MIN);
		store_denial(name);
	}
	for (unsigned i = 0; i < 3 * VIGIE_CACHE_CAPACITY_MIN; i++) {
		snprintf(name, sizeof(name), "more-%u.example.org.", i);
		store_address(name, i);
	}
	assert_int_equal(positive_entries(), VIGIE_CACHE_CAPACITY_MIN);
	/* One that the budget ends before. */
	assert_int_equal(vigie_cache_part_limit(cache, part, false, 1 << 30), VIGIE_OK);
	assert_null(part->rings[CLASS_NEGATIVE].slots);
}

/* No shard is so large that whoever makes its index grow is late for others. */
static void test_shards(void **state)
{
	static const struct {
		size_t budget;
		unsigned shards;
	} stores[] = {{1 << 20, 1}, {8 << 20, 8}, {64 << 20, 8}, {1UL << 30, 64}, {4UL << 30, 256}};

	for (size_t i = 0; i < sizeof(stores) / sizeof(*stores); i++) {
		struct vigie_cache *store = vigie_cache_new(stores[i].budget);

		assert_non_null(store);
		assert_int_equal(store->shard_count, stores[i].shards);
		vigie_cache_free(store);
	}
}

static void test_shared(void **state)
{
	struct vigie_cache *first = vigie_cache_acquire(VIGIE_CACHE_BUDGET_MIN);
	struct vigie_cache *second = vigie_cache_acquire(8 * VIGIE_CACHE_BUDGET_MIN);

	assert_ptr_equal(first, second);
	vigie_cache_release(first);
	assert_int_equal(second->budget, VIGIE_CACHE_BUDGET_MIN);
	vigie_cache_release(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_why, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ttl, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(test_negative_share, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ghost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_capacity, setup, teardown),
		cmocka_unit_test(test_shards),
		cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}

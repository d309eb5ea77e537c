/* Looking ahead fetches what answering will look at, for every name of a service, and nothing for others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <urcu-qsbr.h>

#include "../hash_key.h"
#include "table.h"
#include "vigie/query.h"

/* The code that is tested is compiled here: what it fetches is noted. */
static void note_fetched(const void *at);
#define __builtin_prefetch(at) note_fetched(at)
#include "ahead.c"

enum { FEW = 100, MANY = 5000, FETCHED_MAX = 8 };

static struct vigie_records *records;
static struct vigie_cluster *cluster;
static struct vigie_name zones[2];
static uintptr_t fetched[FETCHED_MAX]; /* lines of the CPU's cache */
static size_t fetched_count;

static void note_fetched(const void *at)
{
	assert_true(fetched_count < FETCHED_MAX);
	fetched[fetched_count++] = (uintptr_t)at / CACHE_LINE;
}

/* Whether all of it was fetched since the last time. */
static bool was_fetched(const void *at, size_t length)
{
	uintptr_t last = ((uintptr_t)at + length - 1) / CACHE_LINE;
	bool all = true;

	for (uintptr_t line = (uintptr_t)at / CACHE_LINE; line <= last; line++) {
		bool found = false;

		for (size_t i = 0; i < fetched_count; i++)
			found |= fetched[i] == line;
		all &= found;
	}
	fetched_count = 0;
	return all;
}

static void put_services(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		char name[16];
		struct vigie_service service = {.namespace = "shop",
						.name = name,
						.type = VIGIE_SERVICE_CLUSTER_IP,
						.address_count = 1};

		snprintf(name, sizeof(name), "s%u", i);
		assert_int_equal(vigie_address_from_text(&service.addresses[0], "10.96.0.1"), VIGIE_OK);
		assert_int_equal(vigie_cluster_put_service(cluster, &service), VIGIE_OK);
	}
	vigie_cluster_publish(cluster);
}

static int setup(void **state)
{
	struct vigie_cluster_options options = {.kinds = {true, true, true, false}};

	fix_hash_key();
	rcu_register_thread();
	records = vigie_records_new();
	cluster = records ? vigie_cluster_new(records, &options) : NULL;
	if (!cluster || vigie_name_from_text(&zones[0], "cluster.local") ||
	    vigie_name_from_text(&zones[1], "in-addr.arpa"))
		return -1;
	vigie_cluster_put_namespace(cluster, "shop");
	put_services(0, FEW);
	return 0;
}

static int teardown(void **state)
{
	vigie_cluster_free(cluster);
	vigie_records_free(records);
	rcu_unregister_thread();
	return 0;
}

/* What the steps before the last come to: the entry that is fetched; 0 for none. */
static const struct entry *look_ahead(const char *text)
{
	struct vigie_view view = {.records = records, .zones = zones, .zone_count = 2};
	struct vigie_query query;
	uint64_t state = 0;
	uint64_t before;

	fetched_count = 0;
	vigie_view_plan(&view);
	assert_int_equal(vigie_name_from_text(&query.name, text), VIGIE_OK);
	vigie_records_ahead(&view, 0, &query, &state);
	vigie_records_ahead(&view, 1, NULL, &state);
	before = state;
	for (unsigned step = 2; step < VIGIE_AHEAD_STEPS; step++)
		vigie_records_ahead(&view, step, NULL, &state);
	assert_int_equal(state, before);
	return (const struct entry *)(uintptr_t)state;
}

static void test_names(void **state)
{
	static const char *const of_the_service[] = {"s7.shop.svc.cluster.local",
						     "_http._tcp.s7.shop.svc.cluster.local",
						     "10-0-0-1.s7.shop.svc.cluster.local"};
	static const char *const others[] = {"absent.shop.svc.cluster.local",
					     "shop.svc.cluster.local",
					     "svc.cluster.local",
					     "cluster.local",
					     "s7.shop.pod.cluster.local",
					     "example.org",
					     "."};
	const struct entry *entry = vigie_table_find(records, (const uint8_t *)"\2s7\4shop", 8);

	assert_non_null(entry);
	for (size_t i = 0; i < sizeof(of_the_service) / sizeof(*of_the_service); i++)
		assert_ptr_equal(look_ahead(of_the_service[i]), entry);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		const struct entry *found = look_ahead(others[i]);

		/* Fifteen bits of two hashes may be the same: another service, which is fetched in vain. */
		assert_ptr_not_equal(found, entry);
		assert_true(!found || i == 0);
	}
}

/* Where a look-up waits is where the line was fetched a step before: its first slot, all of the entry, the
 * blob up to what leads to its parts. */
static void test_what_is_fetched(void **state)
{
	struct vigie_view view = {.records = records, .zones = zones, .zone_count = 2};

	vigie_view_plan(&view);
	for (unsigned i = 0; i < FEW; i++) {
		char text[64];
		uint8_t key[KEY_MAX];
		struct vigie_query query;
		const struct entry *entry;
		uint64_t found = 0;
		uint64_t hash;

		snprintf(text, sizeof(text), "s%u.shop.svc.cluster.local", i);
		assert_int_equal(vigie_name_from_text(&query.name, text), VIGIE_OK);
		memcpy(key, query.name.bytes, query.name.offset[2]);
		hash = vigie_hash(key, query.name.offset[2]);
		entry = vigie_table_find(records, key, query.name.offset[2]);
		assert_non_null(entry);
		fetched_count = 0;
		vigie_records_ahead(&view, 0, &query, &found);
		assert_true(was_fetched(&records->services->words[slots_first(records->services, hash)],
					sizeof(uint64_t)));
		vigie_records_ahead(&view, 1, NULL, &found);
		if ((uintptr_t)entry != found)
			continue; /* another with these fifteen bits stands before it */
		assert_true(was_fetched(entry, sizeof(*entry) + entry->key_length));
		vigie_records_ahead(&view, 2, NULL, &found);
		assert_true(was_fetched(entry_blob(entry), offsetof(struct blob, row_count)));
	}
}

static void test_small_tables_are_near(void **state)
{
	assert_false(vigie_records_is_far(records));
	put_services(FEW, MANY);
	assert_true(vigie_records_is_far(records));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_what_is_fetched),
		cmocka_unit_test(test_small_tables_are_near),
	};

	return cmocka_run_group_tests_name("ahead", tests, setup, teardown);
}

/* One writer, four readers: what exists throughout is never missing, and an answer is never half of one set
 * and half of another. Run under ThreadSanitizer, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "vigie/hash.h"
#include "vigie/records.h"

enum {
	READERS = 4,
	ROUNDS = 3000,
	SERVICES = 50,
	SET = 8 /* endpoints of the headless service: all of one generation in each answer */
};

struct shared {
	struct vigie_records *records;
	struct vigie_name zones[2];
	struct vigie_view view;
	atomic_bool stop;
	atomic_ulong answers;
	atomic_ulong wrong;
};

static size_t ask(const struct shared *shared, const char *name, uint16_t type, uint8_t *buffer)
{
	struct vigie_name wire;
	struct vigie_name target;
	struct vigie_query query;
	struct vigie_answer answer;
	uint8_t packet[512];
	size_t length;

	vigie_name_from_text(&wire, name);
	length = vigie_query_write(packet, sizeof(packet), 1, 0, wire.bytes, type, VIGIE_CLASS_IN, false,
				   false);
	vigie_query_parse(&query, packet, length);
	vigie_answer_begin(&answer, &query, buffer, 512);
	if (!vigie_records_answer_short(&shared->view, &query, &answer))
		vigie_records_answer(&shared->view, &query, 7, &answer, &target);
	return vigie_answer_end(&answer);
}

static unsigned answer_count(const uint8_t *answer)
{
	return (unsigned)answer[6] << 8 | answer[7];
}

/* The headless service's addresses are 10.GENERATION.…: all of one generation. */
static bool is_one_generation(const uint8_t *answer, size_t length)
{
	const uint8_t *end = answer + length;
	const uint8_t *first = end - 16 * SET;

	if (answer_count(answer) != SET)
		return false;
	for (const uint8_t *record = first; record < end; record += 16) {
		if (memcmp(record + 12, first + 12, 3) != 0)
			return false;
	}
	return true;
}

static void *read_all(void *argument)
{
	struct shared *shared = argument;
	uint8_t answer[512];

	rcu_register_thread();
	while (!atomic_load(&shared->stop)) {
		size_t length = ask(shared, "stays.default.svc.cluster.local", VIGIE_TYPE_A, answer);

		if (answer_count(answer) != 1 || (answer[3] & 15) != 0)
			atomic_fetch_add(&shared->wrong, 1);
		length = ask(shared, "set.default.svc.cluster.local", VIGIE_TYPE_A, answer);
		if (!is_one_generation(answer, length))
			atomic_fetch_add(&shared->wrong, 1);
		ask(shared, "service-7.default.svc.cluster.local", VIGIE_TYPE_SRV, answer);
		ask(shared, "1.0.96.10.in-addr.arpa", VIGIE_TYPE_PTR, answer);
		atomic_fetch_add(&shared->answers, 1);
		rcu_quiescent_state();
	}
	rcu_unregister_thread();
	return NULL;
}

static struct vigie_address v4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	struct vigie_address address;
	char text[32];

	snprintf(text, sizeof(text), "%u.%u.%u.%u", a, b, c, d);
	assert_int_equal(vigie_address_from_text(&address, text), VIGIE_OK);
	return address;
}

static void put_cluster_service(struct vigie_cluster *cluster, const char *name, unsigned number)
{
	static const struct vigie_port port = {.name = "http", .number = 80, .has_number = true};
	struct vigie_service service = {.namespace = "default",
					.name = name,
					.addresses = {v4(10, 96, 0, 1 + number)},
					.address_count = 1,
					.ports = &port,
					.port_count = 1};

	assert_int_equal(vigie_cluster_put_service(cluster, &service), VIGIE_OK);
}

static void put_set(struct vigie_cluster *cluster, unsigned round)
{
	static const struct vigie_port port = {.name = "http", .number = 80, .has_number = true};
	struct vigie_endpoint endpoints[SET];
	struct vigie_slice slice = {.namespace = "default",
				    .name = "set-1",
				    .service = "set",
				    .ports = &port,
				    .port_count = 1,
				    .endpoints = endpoints,
				    .endpoint_count = SET};

	for (unsigned i = 0; i < SET; i++)
		endpoints[i] =
			(struct vigie_endpoint){.address = v4(10, round % 200, 1, 1 + i), .ready = true};
	assert_int_equal(vigie_cluster_put_slice(cluster, &slice), VIGIE_OK);
}

/* A relist in the middle of everything: all that exists is put again, the rest is swept. */
static void churn(struct vigie_cluster *cluster, unsigned round)
{
	char name[32];

	put_set(cluster, round);
	for (unsigned i = 0; i < SERVICES; i += 7) {
		snprintf(name, sizeof(name), "service-%u", (round + i) % SERVICES);
		if (round % 2)
			put_cluster_service(cluster, name, 1 + i + round / 2 % 2 * SERVICES);
		else
			vigie_cluster_delete(cluster, VIGIE_KIND_SERVICE, "default", name);
	}
	vigie_cluster_publish(cluster);
	if (round % 50 == 0) {
		struct vigie_service set = {.namespace = "default", .name = "set", .headless = true};

		vigie_cluster_mark(cluster, VIGIE_KIND_SERVICE);
		put_cluster_service(cluster, "stays", 0);
		assert_int_equal(vigie_cluster_put_service(cluster, &set), VIGIE_OK);
		vigie_cluster_sweep(cluster, VIGIE_KIND_SERVICE);
		vigie_cluster_publish(cluster);
	}
	rcu_quiescent_state();
}

static void test_nothing_is_missing_while_everything_changes(void **state)
{
	static struct shared shared;
	struct vigie_service set = {.namespace = "default", .name = "set", .headless = true};
	struct vigie_cluster_options options = {.kinds = {true, true, true, false}};
	struct vigie_cluster *cluster;
	pthread_t readers[READERS];

	vigie_hash_init();
	rcu_register_thread();
	assert_int_equal(vigie_name_from_text(&shared.zones[0], "cluster.local"), VIGIE_OK);
	assert_int_equal(vigie_name_from_text(&shared.zones[1], "in-addr.arpa"), VIGIE_OK);
	shared.records = vigie_records_new();
	assert_non_null(shared.records);
	cluster = vigie_cluster_new(shared.records, &options);
	assert_non_null(cluster);
	shared.view = (struct vigie_view){.records = shared.records,
					  .zones = shared.zones,
					  .zone_count = 2,
					  .ttl = 5,
					  .endpoints = true};
	vigie_view_plan(&shared.view);
	assert_int_equal(vigie_cluster_put_namespace(cluster, "default"), VIGIE_OK);
	put_cluster_service(cluster, "stays", 0);
	assert_int_equal(vigie_cluster_put_service(cluster, &set), VIGIE_OK);
	put_set(cluster, 0);
	vigie_cluster_publish(cluster);

	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_all, &shared), 0);
	for (unsigned round = 1; round <= ROUNDS || atomic_load(&shared.answers) < ROUNDS; round++)
		churn(cluster, round);
	atomic_store(&shared.stop, true);
	rcu_thread_offline();
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	rcu_thread_online();
	assert_int_equal(atomic_load(&shared.wrong), 0);
	vigie_cluster_free(cluster);
	vigie_records_free(shared.records);
	rcu_unregister_thread();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_missing_while_everything_changes),
	};

	return cmocka_run_group_tests_name("churn", tests, NULL, NULL);
}

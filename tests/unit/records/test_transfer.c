/* A transfer is of one state of the table: while a writer publishes generation after generation of several
 * services, every transfer finds all of them in one generation. Run under ThreadSanitizer, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "vigie/hash.h"
#include "vigie/records.h"

enum { ROUNDS = 400, SERVICES = 40 };

struct shared {
	struct vigie_records *records;
	struct vigie_cluster *cluster;
	struct vigie_name zone;
	struct vigie_view view;
	atomic_bool stop;
};

/* What one transfer told of. */
struct seen {
	unsigned addresses;
	unsigned soas;
	unsigned services; /* SRV records */
	uint8_t generation[2];
	bool mixed;
};

/* The services' addresses are 10.GENERATION.SERVICE. */
static enum vigie_status visit(void *argument, const uint8_t *owner, uint16_t type, uint32_t ttl,
			       const uint8_t *rdata, size_t rdlength)
{
	struct seen *seen = argument;

	seen->soas += type == VIGIE_TYPE_SOA;
	seen->services += type == VIGIE_TYPE_SRV;
	if (type != VIGIE_TYPE_A)
		return VIGIE_OK;
	assert_int_equal(rdlength, 4);
	if (seen->addresses++ == 0)
		memcpy(seen->generation, rdata + 1, 2);
	else
		seen->mixed |= memcmp(seen->generation, rdata + 1, 2) != 0;
	return VIGIE_OK;
}

static void *write_generations(void *argument)
{
	static const struct vigie_port port = {.name = "http", .number = 80, .has_number = true};
	struct shared *shared = argument;

	rcu_register_thread();
	for (unsigned generation = 1; !atomic_load(&shared->stop); generation++) {
		for (unsigned i = 0; i < SERVICES; i++) {
			struct vigie_service service = {
				.namespace = "default", .address_count = 1, .ports = &port, .port_count = 1};
			char name[16];
			char address[32];

			snprintf(name, sizeof(name), "s%u", i);
			snprintf(address, sizeof(address), "10.%u.%u.%u", generation >> 8 & 255,
				 generation & 255, i);
			service.name = name;
			vigie_address_from_text(&service.addresses[0], address);
			vigie_cluster_put_service(shared->cluster, &service);
		}
		vigie_cluster_publish(shared->cluster);
		rcu_quiescent_state();
	}
	rcu_unregister_thread();
	return NULL;
}

static void test_one_generation(void **state)
{
	struct shared shared = {0};
	uint8_t first[2] = {0};
	unsigned generations = 0;
	pthread_t writer;

	vigie_hash_init();
	rcu_register_thread();
	vigie_name_from_text(&shared.zone, "cluster.local");
	shared.records = vigie_records_new();
	shared.cluster = vigie_cluster_new(
		shared.records, &(struct vigie_cluster_options){.kinds = {[VIGIE_KIND_SERVICE] = true}});
	shared.view = (struct vigie_view){.records = shared.records,
					  .zones = &shared.zone,
					  .zone_count = 1,
					  .ttl = 5,
					  .endpoints = true};
	vigie_cluster_put_namespace(shared.cluster, "default");
	assert_int_equal(pthread_create(&writer, NULL, write_generations, &shared), 0);
	for (unsigned round = 0; round < ROUNDS || generations < 3; round++) {
		struct seen seen = {0};

		assert_int_equal(vigie_records_transfer(&shared.view, &shared.zone, visit, &seen), VIGIE_OK);
		rcu_quiescent_state();
		assert_int_equal(seen.soas, 1);
		assert_false(seen.mixed);
		if (seen.addresses == 0)
			continue; /* the writer has not begun */
		assert_int_equal(seen.addresses, SERVICES);
		assert_int_equal(seen.services, 2 * SERVICES); /* of the service, and of its port */
		generations += memcmp(first, seen.generation, 2) != 0;
		memcpy(first, seen.generation, 2);
	}
	atomic_store(&shared.stop, true);
	rcu_thread_offline(); /* the writer may wait for a grace period */
	pthread_join(writer, NULL);
	rcu_thread_online();
	vigie_cluster_free(shared.cluster);
	vigie_records_free(shared.records);
	rcu_unregister_thread();
}

/* A transfer in the midst of which many generations are published. */
struct slow {
	struct vigie_cluster *cluster;
	const struct vigie_records *records;
	struct vigie_view view;
	struct vigie_name zone;
	atomic_bool begun;
	atomic_bool may_end;
	enum vigie_status status;
};

static enum vigie_status visit_slowly(void *argument, const uint8_t *owner, uint16_t type, uint32_t ttl,
				      const uint8_t *rdata, size_t rdlength)
{
	struct slow *slow = argument;

	atomic_store(&slow->begun, true);
	while (!atomic_load(&slow->may_end))
		sched_yield();
	return VIGIE_OK;
}

static void *transfer_slowly(void *argument)
{
	struct slow *slow = argument;

	rcu_register_thread();
	slow->status = vigie_records_transfer(&slow->view, &slow->zone, visit_slowly, slow);
	rcu_unregister_thread();
	return NULL;
}

/* One port's name for each number: a blob of some hundred bytes. */
static void put_service(struct vigie_cluster *cluster, unsigned number, unsigned generation)
{
	const struct vigie_port port = {.name = generation % 2 ? "http" : "https", .number = 80};
	struct vigie_service service = {
		.namespace = "default", .address_count = 1, .ports = &port, .port_count = 1};
	char name[64];

	snprintf(name, sizeof(name), "a-service-with-a-name-that-takes-room-%u", number);
	service.name = name;
	vigie_address_from_text(&service.addresses[0], "10.0.0.1");
	assert_int_equal(vigie_cluster_put_service(cluster, &service), VIGIE_OK);
}

/* The writer does not wait for a transfer, unless a quarter of the table does; what is retired is freed after
 * it. */
static void test_the_writer_goes_on_beside_a_transfer(void **state)
{
	enum { TABLE = 4000, CHANGED = 800 };
	struct slow slow = {0};
	struct vigie_records *records;
	uint64_t bytes[VIGIE_BYTES];
	pthread_t thread;

	vigie_hash_init();
	rcu_register_thread();
	vigie_name_from_text(&slow.zone, "cluster.local");
	slow.records = records = vigie_records_new();
	slow.cluster = vigie_cluster_new(
		records, &(struct vigie_cluster_options){.kinds = {[VIGIE_KIND_SERVICE] = true}});
	slow.view = (struct vigie_view){
		.records = records, .zones = &slow.zone, .zone_count = 1, .ttl = 5, .endpoints = true};
	vigie_cluster_put_namespace(slow.cluster, "default");
	for (unsigned i = 0; i < TABLE; i++)
		put_service(slow.cluster, i, 0);
	vigie_cluster_publish(slow.cluster);
	vigie_cluster_rest(slow.cluster);
	assert_int_equal(pthread_create(&thread, NULL, transfer_slowly, &slow), 0);
	while (!atomic_load(&slow.begun))
		sched_yield();

	for (unsigned i = 0; i < CHANGED; i++)
		put_service(slow.cluster, i, 1);
	vigie_cluster_publish(slow.cluster); /* would never return if it waited */
	vigie_cluster_rest(slow.cluster);
	vigie_records_bytes(records, bytes);
	assert_in_range(bytes[VIGIE_BYTES_RETIRED], 65536 + 1, SIZE_MAX);
	atomic_store(&slow.may_end, true);
	pthread_join(thread, NULL);
	assert_int_equal(slow.status, VIGIE_OK);
	vigie_cluster_rest(slow.cluster);
	vigie_records_bytes(records, bytes);
	assert_int_equal(bytes[VIGIE_BYTES_RETIRED], 0);
	vigie_cluster_free(slow.cluster);
	vigie_records_free(records);
	rcu_unregister_thread();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_generation),
		cmocka_unit_test(test_the_writer_goes_on_beside_a_transfer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

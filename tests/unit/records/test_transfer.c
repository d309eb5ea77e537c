/* A transfer is of one state of the table: while a writer publishes generation after generation of several
 * services, every transfer finds all of them in one generation. Run under ThreadSanitizer, too. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_generation)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

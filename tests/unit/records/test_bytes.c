/* The bytes that are counted are those that the allocator gives out, an endpoint costs no more than it may,
 * and a relist costs nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "vigie/hash.h"
#include "vigie/records.h"

enum {
	SERVICES = 3000,
	SLICE_ENDPOINTS = 100,
	ENDPOINT_BYTES = 64, /* at most, its share of the table of addresses included */
	COUNT_PERCENT = 5,   /* that the count may be off */
	RETIRED_MAX = 65536  /* bytes that may wait for readers between publications */
};

struct shape {
	bool six;
	bool named;
};

static struct vigie_records *records;
static struct vigie_cluster *cluster;

static size_t allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void settle(void)
{
	vigie_cluster_publish(cluster);
	vigie_cluster_rest(cluster);
}

static uint64_t counted(void)
{
	uint64_t bytes[VIGIE_BYTES];
	uint64_t sum = 0;

	vigie_records_bytes(records, bytes);
	for (int i = 0; i < VIGIE_BYTES; i++)
		sum += bytes[i];
	return sum;
}

static void put(unsigned number, unsigned endpoints, const struct shape *shape)
{
	static const struct vigie_port port = {.name = "http", .number = 80, .has_number = true};
	static char hostnames[SLICE_ENDPOINTS][16];
	struct vigie_endpoint list[SLICE_ENDPOINTS];
	char name[32];
	char slice_name[64];
	struct vigie_service service = {
		.namespace = "default", .name = name, .headless = true, .ports = &port, .port_count = 1};
	struct vigie_slice slice = {.namespace = "default",
				    .name = slice_name,
				    .service = name,
				    .ports = &port,
				    .port_count = 1,
				    .endpoints = list,
				    .endpoint_count = endpoints};

	snprintf(name, sizeof(name), "service-%05u", number);
	snprintf(slice_name, sizeof(slice_name), "%s-x4j7k", name);
	for (unsigned i = 0; i < endpoints; i++) {
		uint32_t id = number * SLICE_ENDPOINTS + i;
		uint8_t *bytes = list[i].address.bytes;

		memset(&list[i], 0, sizeof(list[i]));
		memset(bytes, shape->six ? 0xfd : 0, 10);
		memset(bytes + 10, shape->six ? 0 : 0xff, 2);
		memcpy(bytes + 12, &id, 4);
		list[i].ready = true;
		snprintf(hostnames[i], sizeof(hostnames[i]), "web-%u", i);
		list[i].hostname = shape->named ? hostnames[i] : NULL;
	}
	assert_int_equal(vigie_cluster_put_service(cluster, &service), VIGIE_OK);
	assert_int_equal(vigie_cluster_put_slice(cluster, &slice), VIGIE_OK);
}

static void put_all(unsigned endpoints, const struct shape *shape)
{
	for (unsigned i = 0; i < SERVICES; i++) {
		put(i, endpoints, shape);
		if (i % 64 == 0)
			settle();
	}
	settle();
}

static void begin(void)
{
	const struct vigie_cluster_options options = {.kinds = {true, true, true, false}};

	records = vigie_records_new();
	cluster = vigie_cluster_new(records, &options);
	assert_non_null(cluster);
	assert_int_equal(vigie_cluster_put_namespace(cluster, "default"), VIGIE_OK);
}

static void end(void)
{
	vigie_cluster_free(cluster);
	vigie_records_free(records);
	rcu_quiescent_state();
}

static void check_shape(const struct shape *shape, unsigned most)
{
	size_t before = allocated();
	size_t few;
	size_t many;
	size_t peak;

	begin();
	put_all(10, shape);
	few = allocated() - before;
	put_all(SLICE_ENDPOINTS, shape);
	many = allocated() - before;
	print_message("# %s%s: %.1f bytes an endpoint; counted %.1f %% of what is allocated\n",
		      shape->six ? "IPv6" : "IPv4", shape->named ? ", named" : "",
		      (double)(many - few) / SERVICES / (SLICE_ENDPOINTS - 10),
		      (double)counted() * 100 / (double)many);
	assert_in_range(many - few, 1, (size_t)most * SERVICES * (SLICE_ENDPOINTS - 10));
	assert_in_range(counted() * 100, many * (100 - COUNT_PERCENT), many * (100 + COUNT_PERCENT));

	/* A relist of the same. */
	peak = 0;
	vigie_cluster_mark(cluster, VIGIE_KIND_SERVICE);
	vigie_cluster_mark(cluster, VIGIE_KIND_SLICE);
	for (unsigned i = 0; i < SERVICES; i++) {
		put(i, SLICE_ENDPOINTS, shape);
		vigie_cluster_publish(cluster);
		peak = allocated() - before > peak ? allocated() - before : peak;
	}
	vigie_cluster_sweep(cluster, VIGIE_KIND_SERVICE);
	vigie_cluster_sweep(cluster, VIGIE_KIND_SLICE);
	settle();
	assert_in_range(peak, many - many / 100, many + many / 100);
	end();
}

static void test_endpoints_are_small(void **state)
{
	check_shape(&(struct shape){false, false}, ENDPOINT_BYTES);
	check_shape(&(struct shape){false, true}, ENDPOINT_BYTES);
	/* Twelve more bytes of address, twice. */
	check_shape(&(struct shape){true, false}, ENDPOINT_BYTES);
}

/* What only objects of one kind take, put and not published, so that nothing else grows with them. */
enum { MANY = 5000 };

static void put_namespaces(void)
{
	char name[32];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "namespace-%u", i);
		assert_int_equal(vigie_cluster_put_namespace(cluster, name), VIGIE_OK);
	}
}

static void put_pods(void)
{
	for (uint32_t i = 0; i < MANY; i++) {
		struct vigie_address address = {{[10] = 0xff, [11] = 0xff, [12] = 10}};
		char name[32];
		struct vigie_pod pod = {
			.namespace = "default", .name = name, .addresses = &address, .address_count = 1};

		snprintf(name, sizeof(name), "pod-%u", i);
		memcpy(address.bytes + 13, (uint8_t[]){(uint8_t)(i >> 8), (uint8_t)i}, 2);
		assert_int_equal(vigie_cluster_put_pod(cluster, &pod), VIGIE_OK);
	}
}

static void put_services(void)
{
	static const struct vigie_port port = {.name = "http", .number = 80, .has_number = true};

	for (uint32_t i = 0; i < MANY; i++) {
		char name[32];
		struct vigie_service service = {.namespace = "default",
						.name = name,
						.addresses = {{{[10] = 0xff, [11] = 0xff, [12] = 10}}},
						.address_count = 1,
						.ports = &port,
						.port_count = 1};

		snprintf(name, sizeof(name), "service-%u", i);
		memcpy(service.addresses[0].bytes + 13, (uint8_t[]){(uint8_t)(i >> 8), (uint8_t)i}, 2);
		assert_int_equal(vigie_cluster_put_service(cluster, &service), VIGIE_OK);
	}
}

/* Many slices of one service: there is but one place for it in the table. */
static void put_slices(void)
{
	struct vigie_endpoint points[3] = {{.ready = true}, {.ready = true}, {.ready = true}};

	for (uint32_t i = 0; i < MANY; i++) {
		char name[32];
		struct vigie_slice slice = {.namespace = "default",
					    .name = name,
					    .service = "web",
					    .endpoints = points,
					    .endpoint_count = 3};

		snprintf(name, sizeof(name), "web-%u", i);
		for (uint32_t j = 0; j < 3; j++)
			points[j].address = (struct vigie_address){
				{0xfd, [13] = (uint8_t)(i >> 8), [14] = (uint8_t)i, [15] = (uint8_t)j}};
		assert_int_equal(vigie_cluster_put_slice(cluster, &slice), VIGIE_OK);
	}
}

static void put_external_names(void)
{
	for (unsigned i = 0; i < MANY; i++) {
		char name[32];
		struct vigie_service service = {.namespace = "default",
						.name = name,
						.type = VIGIE_SERVICE_EXTERNAL_NAME,
						.external_name = "www.example.com"};

		snprintf(name, sizeof(name), "outside-%u", i);
		assert_int_equal(vigie_cluster_put_service(cluster, &service), VIGIE_OK);
	}
}

/* Each kind's bytes are what the allocator gave for it. */
static void test_each_kind_is_counted(void **state)
{
	static const struct {
		enum vigie_bytes kind;
		enum vigie_bytes also; /* that grows, too, and was looked at before */
		void (*before)(void);
		void (*put)(void);
	} rows[] = {
		{VIGIE_BYTES_NAMESPACES, VIGIE_BYTES, NULL, put_namespaces},
		{VIGIE_BYTES_PODS, VIGIE_BYTES, NULL, put_pods},
		{VIGIE_BYTES_SERVICES, VIGIE_BYTES, NULL, put_services},
		{VIGIE_BYTES_SLICES, VIGIE_BYTES, NULL, put_slices},
		{VIGIE_BYTES_ANSWERS, VIGIE_BYTES, put_external_names, settle},
		{VIGIE_BYTES_ADDRESSES, VIGIE_BYTES_ANSWERS, put_services, settle},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t bytes[2][VIGIE_BYTES];
		uint64_t of_kind = 0;
		uint64_t of_others = 0;
		size_t before;
		size_t grown;

		begin();
		if (rows[i].before)
			rows[i].before();
		vigie_cluster_rest(cluster);
		vigie_records_bytes(records, bytes[0]);
		before = allocated();
		rows[i].put();
		vigie_cluster_rest(cluster);
		grown = allocated() - before;
		vigie_records_bytes(records, bytes[1]);
		for (int kind = 0; kind < VIGIE_BYTES; kind++) {
			uint64_t more = bytes[1][kind] - bytes[0][kind];

			if (kind == (int)rows[i].kind)
				of_kind += more;
			else if (kind == (int)rows[i].also)
				grown -= more;
			else
				of_others += more;
		}
		print_message("# %s: counted %.1f %% of what is allocated\n", vigie_bytes_text(rows[i].kind),
			      (double)of_kind * 100 / (double)grown);
		assert_in_range(of_kind * 100, grown * (100 - COUNT_PERCENT), grown * (100 + COUNT_PERCENT));
		assert_in_range(of_others, 0, 1024); /* the one service, its place and its namespace */
		end();
	}
}

static void test_nothing_is_left_of_what_is_deleted(void **state)
{
	const struct shape shape = {false, true};
	uint64_t before;

	begin();
	settle();
	before = counted();
	for (int round = 0; round < 3; round++) {
		put_all(20, &shape);
		vigie_cluster_mark(cluster, VIGIE_KIND_SERVICE);
		vigie_cluster_mark(cluster, VIGIE_KIND_SLICE);
		vigie_cluster_sweep(cluster, VIGIE_KIND_SERVICE);
		vigie_cluster_sweep(cluster, VIGIE_KIND_SLICE);
		settle();
		put(0, 1, &shape); /* the table of addresses shrinks with the next change */
		settle();
		vigie_cluster_delete(cluster, VIGIE_KIND_SERVICE, "default", "service-00000");
		vigie_cluster_delete(cluster, VIGIE_KIND_SLICE, "default", "service-00000-x4j7k");
		settle();
		assert_in_range(counted(), before, before + 2048);
	}
	end();
}

static uint64_t retired(void)
{
	uint64_t bytes[VIGIE_BYTES];

	vigie_records_bytes(records, bytes);
	return bytes[VIGIE_BYTES_RETIRED];
}

/* However much changes, by one publication for each change or for all. */
static void test_what_waits_for_readers_is_bounded(void **state)
{
	const struct shape shape = {false, true};
	uint64_t most = 0;

	begin();
	for (unsigned round = 1; round <= 200; round++) {
		for (unsigned i = 0; i < 20; i++) {
			put(i, 1 + (round + i) % SLICE_ENDPOINTS, &shape);
			if (round % 2)
				vigie_cluster_publish(cluster);
		}
		vigie_cluster_publish(cluster);
		most = retired() > most ? retired() : most;
	}
	assert_in_range(most, RETIRED_MAX / 4, RETIRED_MAX);
	vigie_cluster_rest(cluster);
	assert_int_equal(retired(), 0);
	end();
}

static int set_up(void **state)
{
	vigie_hash_init();
	rcu_register_thread();
	return 0;
}

static int tear_down(void **state)
{
	rcu_unregister_thread();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifndef __SANITIZE_ADDRESS__ /* its allocator tells nothing */
		cmocka_unit_test(test_endpoints_are_small),
		cmocka_unit_test(test_each_kind_is_counted),
#endif
		cmocka_unit_test(test_nothing_is_left_of_what_is_deleted),
		cmocka_unit_test(test_what_waits_for_readers_is_bounded),
	};

	(void)test_endpoints_are_small;
	(void)test_each_kind_is_counted;
	return cmocka_run_group_tests_name("bytes", tests, set_up, tear_down);
}

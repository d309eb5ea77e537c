/* The short way to the address of a ClusterIP service says what the long way says, for every kind of service
 * and shape of name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <urcu-qsbr.h>

#include "lookup.h"
#include "vigie/hash.h"

static struct vigie_records *records;
static struct vigie_cluster *cluster;
static struct vigie_name zones[4]; /* the longest first */

static void put_service(const char *name, const char *const *addresses, bool headless, const char *external)
{
	struct vigie_service service = {.namespace = "shop",
					.name = name,
					.type = external ? VIGIE_SERVICE_EXTERNAL_NAME
							 : VIGIE_SERVICE_CLUSTER_IP,
					.headless = headless,
					.external_name = external};

	for (; addresses && addresses[service.address_count]; service.address_count++)
		assert_int_equal(vigie_address_from_text(&service.addresses[service.address_count],
							 addresses[service.address_count]),
				 VIGIE_OK);
	assert_int_equal(vigie_cluster_put_service(cluster, &service), VIGIE_OK);
	service.namespace = "hidden";
	assert_int_equal(vigie_cluster_put_service(cluster, &service), VIGIE_OK);
}

static void put_slice(const char *service)
{
	struct vigie_endpoint endpoint = {.ready = true};
	struct vigie_slice slice = {.namespace = "shop",
				    .name = service,
				    .service = service,
				    .endpoints = &endpoint,
				    .endpoint_count = 1};

	assert_int_equal(vigie_address_from_text(&endpoint.address, "10.0.0.1"), VIGIE_OK);
	assert_int_equal(vigie_cluster_put_slice(cluster, &slice), VIGIE_OK);
}

static int setup(void **state)
{
	static const char *const v4[] = {"10.96.0.1", NULL};
	static const char *const v6[] = {"fd00::1", NULL};
	static const char *const both[] = {"10.96.0.2", "fd00::2", NULL};
	struct vigie_cluster_options options = {.kinds = {true, true, true, false}};

	vigie_hash_init();
	rcu_register_thread();
	records = vigie_records_new();
	cluster = records ? vigie_cluster_new(records, &options) : NULL;
	if (!cluster || vigie_name_from_text(&zones[0], "svc.inner.cluster.local") ||
	    vigie_name_from_text(&zones[1], "inner.cluster.local") ||
	    vigie_name_from_text(&zones[2], "cluster.local") ||
	    vigie_name_from_text(&zones[3], "in-addr.arpa"))
		return -1;
	vigie_cluster_put_namespace(cluster, "shop"); /* "hidden" does not exist */
	put_service("four", v4, false, NULL);
	put_service("six", v6, false, NULL);
	put_service("both", both, false, NULL);
	put_service("busy", both, false, NULL);
	put_service("none", NULL, true, NULL);
	put_service("out", NULL, false, "example.org");
	put_service("in", NULL, false, "four.shop.svc.cluster.local");
	put_slice("busy");
	put_slice("none");
	vigie_cluster_publish(cluster);
	return 0;
}

static int teardown(void **state)
{
	vigie_cluster_free(cluster);
	vigie_records_free(records);
	rcu_unregister_thread();
	return 0;
}

static size_t ask(const struct vigie_view *view, const struct vigie_query *query, size_t limit, bool any,
		  uint8_t *buffer, enum vigie_lookup *result)
{
	struct vigie_answer answer;
	struct vigie_name target;

	vigie_answer_begin(&answer, query, buffer, limit);
	*result = !any && vigie_records_answer_short(view, query, &answer)
			  ? VIGIE_LOOKUP_ANSWERED
			  : vigie_records_answer(view, query, 7, &answer, &target);
	return vigie_answer_end(&answer);
}

static void compare(const struct vigie_view *view, const char *text, uint16_t type, size_t limit)
{
	uint8_t packet[512];
	uint8_t one[512];
	uint8_t other[512];
	struct vigie_name name;
	struct vigie_query query;
	enum vigie_lookup one_result;
	enum vigie_lookup other_result;
	size_t length;

	assert_int_equal(vigie_name_from_text(&name, text), VIGIE_OK);
	length = vigie_query_write(packet, sizeof(packet), 1, 0, name.bytes, type, VIGIE_CLASS_IN, false,
				   false);
	assert_int_equal(vigie_query_parse(&query, packet, length), VIGIE_GATE_OK);
	length = ask(view, &query, limit, false, one, &one_result);
	assert_int_equal(ask(view, &query, limit, true, other, &other_result), length);
	assert_int_equal(one_result, other_result);
	assert_memory_equal(one, other, length);
}

static void test_both_ways_say_the_same(void **state)
{
	static const char *const services[] = {"four", "six", "both", "busy", "none", "out", "in", "absent"};
	static const char *const spaces[] = {"shop", "hidden", "absent"};
	static const char *const suffixes[] = {
		"svc.cluster.local",     "pod.cluster.local", "cluster.local",    "svc.inner.cluster.local",
		"svc.svc.cluster.local", "svc.arpa",          "svc.in-addr.arpa", "svc.example.org"};
	static const uint16_t types[] = {VIGIE_TYPE_A, VIGIE_TYPE_AAAA, VIGIE_TYPE_SRV, VIGIE_TYPE_TXT,
					 VIGIE_TYPE_AXFR};
	size_t compared = 0;

	for (unsigned options = 0; options < 8; options++) {
		bool inner = options & 4; /* whose services are a zone of their own: it has no short way */
		struct vigie_view view = {.records = records,
					  .zones = zones,
					  .zone_count = 4,
					  .primary = inner ? 1 : 2,
					  .ttl = 5,
					  .endpoints = options & 1,
					  .ignore_empty_service = options & 2};

		vigie_view_plan(&view);
		assert_int_equal(view.services.length > 0, !inner);
		for (size_t i = 0; i < 8 * 3 * 8 * 5; i++) {
			char text[VIGIE_NAME_TEXT_MAX];

			strcpy(text, services[i % 8]);
			strcat(text, ".");
			strcat(text, spaces[i / 8 % 3]);
			strcat(text, ".");
			strcat(text, suffixes[i / 24 % 8]);
			compare(&view, text, types[i / 192], 512);
			/* Too little room: the question and a few bytes. */
			compare(&view, text, types[i / 192], 12 + strlen(text) + 2 + 4 + 20);
			compared++;
		}
	}
	assert_int_equal(compared, 8 * 960);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways_say_the_same),
	};

	return cmocka_run_group_tests_name("lookup", tests, setup, teardown);
}

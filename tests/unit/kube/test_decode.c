/* Both encodings of an event give the same; damaged ones give an error and nothing worse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "proto_event.h"

static const struct {
	enum vigie_kind kind;
	const char *text;
} events[] = {
	{VIGIE_KIND_SERVICE, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"web\",\"namespace\":"
			     "\"shop\",\"resourceVersion\":\"7\","
			     "\"labels\":{\"a\":\"b\"}},\"spec\":{\"type\":\"NodePort\",\"clusterIP\":\"10.0."
			     "0.1\",\"clusterIPs\":[\"10.0.0.1\","
			     "\"fd00::1\"],\"ports\":[{\"name\":\"http\",\"port\":80,\"protocol\":\"TCP\"},{"
			     "\"port\":53,\"protocol\":\"UDP\"}]}}}"},
	{VIGIE_KIND_SERVICE,
	 "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"none\",\"namespace\":\"shop\"},"
	 "\"spec\":{\"clusterIP\":\"None\"}}}"},
	{VIGIE_KIND_SERVICE,
	 "{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"out\",\"namespace\":\"shop\"},"
	 "\"spec\":{\"type\":\"ExternalName\",\"externalName\":\"example.com\"}}}"},
	{VIGIE_KIND_SERVICE,
	 "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"x\",\"namespace\":\"y\"},"
	 "\"spec\":{\"clusterIP\":\"10.0.0.999\"}}}"},
	{VIGIE_KIND_SERVICE,
	 "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"x\",\"namespace\":\"y\"},"
	 "\"spec\":{\"ports\":[{\"port\":70000}]}}}"},
	{VIGIE_KIND_SERVICE, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"namespace\":\"y\"}}}"},
	{VIGIE_KIND_SLICE,
	 "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"web-1\",\"namespace\":\"shop\",\"labels\":"
	 "{\"kubernetes.io/service-name\":\"web\"},\"annotations\":"
	 "{\"endpoints.kubernetes.io/"
	 "last-change-trigger-time\":\"2026-01-02T03:04:05.25Z\"}},\"addressType\":\"IPv4\","
	 "\"ports\":[{\"name\":\"http\",\"port\":8080},{\"name\":\"all\"}],\"endpoints\":["
	 "{\"addresses\":[\"10.1.0.1\"],\"conditions\":{\"ready\":true},\"hostname\":\"a\",\"zone\":\"west\","
	 "\"targetRef\":{\"kind\":\"Pod\",\"name\":\"web-0\"}},"
	 "{\"addresses\":[\"10.1.0.2\",\"bad\",\"10.1.0.3\"],\"conditions\":{\"ready\":false}},"
	 "{\"addresses\":[\"10.1.0.4\"],\"conditions\":{}},{\"addresses\":[]},"
	 "{\"addresses\":[\"10.1.0.5\"],\"targetRef\":{\"kind\":\"Node\",\"name\":\"n\"}}]}}"},
	{VIGIE_KIND_SLICE,
	 "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"loose\",\"namespace\":\"shop\"},"
	 "\"endpoints\":[{\"addresses\":[\"10.1.0.1\"]}]}}"},
	{VIGIE_KIND_SLICE,
	 "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"names\",\"namespace\":\"shop\",\"labels\":"
	 "{\"kubernetes.io/service-name\":\"web\"}},\"addressType\":\"FQDN\"}}"},
	{VIGIE_KIND_POD,
	 "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"p\",\"namespace\":\"shop\"},\"status\":"
	 "{\"podIP\":\"10.1.0.1\",\"podIPs\":[{\"ip\":\"10.1.0.1\"},{\"ip\":\"fd00::1\"}]}}}"},
	{VIGIE_KIND_POD,
	 "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"p\",\"namespace\":\"shop\"},\"status\":"
	 "{\"podIP\":\"10.1.0.1\"}}}"},
	{VIGIE_KIND_NAMESPACE, "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"shop\"}}}"},
	{VIGIE_KIND_NAMESPACE,
	 "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"12\",\"annotations\":"
	 "{\"k8s.io/initial-events-end\":\"true\"}}}}"},
	{VIGIE_KIND_SLICE, "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"13\"}}}"},
	{VIGIE_KIND_SERVICE, "{\"type\":\"ERROR\",\"object\":{\"code\":410,\"message\":\"too old\"}}"},
	{VIGIE_KIND_SERVICE, "{\"type\":\"RENAMED\",\"object\":{\"metadata\":{\"name\":\"shop\"}}}"},
};

enum { EVENTS = sizeof(events) / sizeof(*events) };

static struct vigie_arena *arenas[2];

static void same_text(const char *a, const char *b)
{
	assert_string_equal(a ? a : "", b ? b : "");
}

static void same_ports(const struct vigie_port *a, size_t a_count, const struct vigie_port *b, size_t b_count)
{
	assert_int_equal(a_count, b_count);
	for (size_t i = 0; i < a_count; i++) {
		same_text(a[i].name, b[i].name);
		same_text(a[i].protocol, b[i].protocol);
		assert_int_equal(a[i].has_number, b[i].has_number);
		assert_int_equal(a[i].number, b[i].number);
	}
}

static void same_service(const struct vigie_service *a, const struct vigie_service *b)
{
	same_text(a->namespace, b->namespace);
	same_text(a->name, b->name);
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->headless, b->headless);
	assert_int_equal(a->address_count, b->address_count);
	assert_memory_equal(a->addresses, b->addresses, a->address_count * sizeof(*a->addresses));
	same_text(a->external_name, b->external_name);
	same_ports(a->ports, a->port_count, b->ports, b->port_count);
}

static void same_slice(const struct vigie_slice *a, const struct vigie_slice *b)
{
	same_text(a->namespace, b->namespace);
	same_text(a->name, b->name);
	same_text(a->service, b->service);
	assert_true(a->triggered - b->triggered == 0);
	same_ports(a->ports, a->port_count, b->ports, b->port_count);
	assert_int_equal(a->endpoint_count, b->endpoint_count);
	for (size_t i = 0; i < a->endpoint_count; i++) {
		assert_memory_equal(a->endpoints[i].address.bytes, b->endpoints[i].address.bytes, 16);
		same_text(a->endpoints[i].hostname, b->endpoints[i].hostname);
		same_text(a->endpoints[i].pod, b->endpoints[i].pod);
		same_text(a->endpoints[i].zone, b->endpoints[i].zone);
		assert_int_equal(a->endpoints[i].ready, b->endpoints[i].ready);
	}
}

static void same_event(const struct decoded_event *a, const struct decoded_event *b, enum vigie_kind kind)
{
	assert_int_equal(a->type, b->type);
	same_text(a->version, b->version);
	assert_int_equal(a->initial_end, b->initial_end);
	assert_int_equal(a->code, b->code);
	same_text(a->message, b->message);
	if (a->type != EVENT_PUT && a->type != EVENT_DELETED)
		return;
	assert_int_equal(a->status, b->status);
	if (a->status)
		return;
	same_text(a->object.name, b->object.name);
	assert_int_equal(a->object.skip, b->object.skip);
	if (kind == VIGIE_KIND_SERVICE)
		same_service(&a->object.service, &b->object.service);
	if (kind == VIGIE_KIND_SLICE && !a->object.skip)
		same_slice(&a->object.slice, &b->object.slice);
	if (kind == VIGIE_KIND_POD) {
		assert_int_equal(a->object.pod.address_count, b->object.pod.address_count);
		assert_memory_equal(a->object.pod.addresses, b->object.pod.addresses,
				    a->object.pod.address_count * sizeof(struct vigie_address));
	}
}

static void test_both_encodings_say_the_same(void **state)
{
	static uint8_t frame[1 << 16];

	for (size_t i = 0; i < EVENTS; i++) {
		size_t length = proto_from_event(events[i].text, events[i].kind, frame);
		struct decoded_event json;
		struct decoded_event proto;

		assert_true(length > 4);
		assert_int_equal(decode_event_json(&json, events[i].kind, events[i].text,
						   strlen(events[i].text), arenas[0]),
				 VIGIE_OK);
		assert_int_equal(decode_event_proto(&proto, events[i].kind, frame + 4, length - 4, arenas[1]),
				 VIGIE_OK);
		same_event(&json, &proto, events[i].kind);
		decode_event_fini(&json);
		decode_event_fini(&proto);
		vigie_arena_reset(arenas[0]);
		vigie_arena_reset(arenas[1]);
	}
}

static void test_the_time_of_a_cause(void **state)
{
	assert_true(decode_time("1970-01-01T00:00:10Z") - 10 == 0);
	assert_true(decode_time("1970-01-01T00:00:10.5Z") - 10.5 == 0);
	assert_true(decode_time("1970-01-01T00:00:10") == 0);
	assert_true(decode_time("yesterday") == 0);
	assert_true(decode_time(NULL) == 0);
}

/* Cut anywhere, or with any byte changed: an error or another object, in memory of exactly the frame's size.
 */
static void test_damaged_frames(void **state)
{
	static uint8_t frame[1 << 16];

	for (size_t i = 0; i < EVENTS; i++) {
		size_t length = proto_from_event(events[i].text, events[i].kind, frame) - 4;
		struct decoded_event event;

		for (size_t at = 0; at < length; at++) {
			uint8_t *copy = malloc(at + 1);

			memcpy(copy, frame + 4, at);
			decode_event_proto(&event, events[i].kind, copy, at, arenas[0]);
			decode_event_fini(&event);
			free(copy);
			for (int change = 1; change < 256; change += 17) {
				frame[4 + at] ^= (uint8_t)change;
				decode_event_proto(&event, events[i].kind, frame + 4, length, arenas[0]);
				decode_event_fini(&event);
				frame[4 + at] ^= (uint8_t)change;
			}
			vigie_arena_reset(arenas[0]);
		}
	}
}

static int set_up(void **state)
{
	arenas[0] = vigie_arena_new();
	arenas[1] = vigie_arena_new();
	return arenas[0] && arenas[1] ? 0 : -1;
}

static int tear_down(void **state)
{
	vigie_arena_free(arenas[0]);
	vigie_arena_free(arenas[1]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_encodings_say_the_same),
		cmocka_unit_test(test_the_time_of_a_cause),
		cmocka_unit_test(test_damaged_frames),
	};

	return cmocka_run_group_tests_name("decode", tests, set_up, tear_down);
}

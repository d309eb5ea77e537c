/* Addresses with a port, cut apart. */
#include "vigie/host_port.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_good(void **state)
{
	static const struct {
		const char *text;
		const char *host;
		int port;
	} cases[] = {
		{"10.0.0.1", "10.0.0.1", -1},
		{"10.0.0.1:53", "10.0.0.1", 53},
		{"fd00::1", "fd00::1", -1},
		{"[fd00::1]", "fd00::1", -1},
		{"[fd00::1]:65535", "fd00::1", 65535},
		{"dns.example:0", "dns.example", 0},
		{":8080", "", 8080},
		{"[]:1", "", 1},
		{"", "", -1},
		{"fe80::1%eth0", "fe80::1%eth0", -1},
		{"a:b:1", "a:b:1", -1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char host[16];
		int port = 7;

		assert_true(vigie_host_port_split(cases[i].text, host, sizeof(host), &port));
		assert_string_equal(host, cases[i].host);
		assert_int_equal(port, cases[i].port);
	}
}

static void test_bad(void **state)
{
	static const char *const cases[] = {
		"10.0.0.1:",   "10.0.0.1:65536",  "10.0.0.1:5x",   "10.0.0.1:-1",
		"10.0.0.1: 1", "10.0.0.1:+1",     "[fd00::1",      "[fd00::1]53",
		"[fd00::1]:",  "[fd00::1]:99999", "[fd00::1]:1:2", "host:99999999999999999999",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char host[64];
		int port;

		assert_false(vigie_host_port_split(cases[i], host, sizeof(host), &port));
	}
}

static void test_room(void **state)
{
	char host[5];
	int port;

	assert_true(vigie_host_port_split("[abcd]:1", host, sizeof(host), &port));
	assert_false(vigie_host_port_split("[abcde]:1", host, sizeof(host), &port));
	assert_false(vigie_host_port_split("abcde", host, sizeof(host), &port));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

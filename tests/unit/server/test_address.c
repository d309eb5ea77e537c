#include "address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static union address from(const char *text, uint16_t port)
{
	union address address;

	if (address_from_text(&address, text, port))
		fail_msg("%s is refused", text);
	return address;
}

static void expect_text(const char *text, uint16_t port, const char *expected)
{
	union address address = from(text, port);
	char out[ADDRESS_TEXT_MAX];

	assert_ptr_equal(address_to_text(&address, out), out);
	assert_string_equal(out, expected);
}

static void test_texts(void **state)
{
	expect_text("10.0.0.1", 53, "10.0.0.1:53");
	expect_text("255.255.255.255", 65535, "255.255.255.255:65535");
	expect_text("fd00::1", 53, "[fd00::1]:53");
	expect_text("FD00:0:0::0:1", 53, "[fd00::1]:53");
	expect_text("::", 0, "[::]:0");
	expect_text("::ffff:10.0.0.1", 53, "[::ffff:10.0.0.1]:53");
	expect_text("1111:2222:3333:4444:5555:6666:7777:8888", 65535,
		    "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
}

static void test_families(void **state)
{
	union address v4 = from("10.0.0.1", 53);
	union address v6 = from("fd00::1", 1053);

	assert_int_equal(v4.any.sa_family, AF_INET);
	assert_int_equal(v4.v4.sin_port, htons(53));
	assert_int_equal(v4.v4.sin_addr.s_addr, htonl(0x0a000001));
	assert_int_equal(address_length(&v4), sizeof(struct sockaddr_in));
	assert_int_equal(v6.any.sa_family, AF_INET6);
	assert_int_equal(v6.v6.sin6_port, htons(1053));
	assert_memory_equal(v6.v6.sin6_addr.s6_addr, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	assert_int_equal(v6.v6.sin6_scope_id, 0);
	assert_int_equal(address_length(&v6), sizeof(struct sockaddr_in6));
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"localhost",
		"10.0.0",
		"10.0.0.256",
		"10.0.0.1:53",
		"10.0.0.1/8",
		"[fd00::1]",
		"fd00:::1",
		"fd00::1 ",
		"10.0.0.1%lo",
		"fe80::1%",
		"%lo",
		"fe80::1%nosuchinterface",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999",
		"fd00::1fd00::1fd00::1fd00::1fd00::1fd00::1fd00::1fd00::1fd00::1fd00::1fd00::1",
	};
	union address address;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (!address_from_text(&address, texts[i], 53))
			fail_msg("'%s' is taken", texts[i]);
	}
}

static void test_scope(void **state)
{
	union address address = from("fe80::1%lo", 53);
	union address other = from("fe80::1", 53);
	char text[ADDRESS_TEXT_MAX];

	assert_int_equal(address.v6.sin6_scope_id, if_nametoindex("lo"));
	assert_false(address_same_host(&address, &other));
	assert_string_equal(address_to_text(&address, text), "[fe80::1%lo]:53");
	address.v6.sin6_scope_id = 4000000000; /* an interface that is gone */
	assert_string_equal(address_to_text(&address, text), "[fe80::1%4000000000]:53");
}

static void test_wildcard(void **state)
{
	union address address = from("0.0.0.0", 53);
	char text[ADDRESS_TEXT_MAX];

	assert_true(address_is_wildcard(&address));
	address = from("::", 53);
	assert_true(address_is_wildcard(&address));
	address = from("0.0.0.1", 53);
	assert_false(address_is_wildcard(&address));
	address = from("::1", 53);
	assert_false(address_is_wildcard(&address));
	address_set_wildcard(&address, 1053);
	assert_true(address_is_wildcard(&address));
	assert_string_equal(address_to_text(&address, text), "[::]:1053");
}

static bool equal(const char *a, uint16_t a_port, const char *b, uint16_t b_port)
{
	union address x = from(a, a_port);
	union address y = from(b, b_port);

	return address_equal(&x, &y);
}

static void test_equal(void **state)
{
	union address mapped = from("::ffff:10.0.0.1", 53);
	union address plain = from("10.0.0.1", 53);
	union address other = from("10.0.0.1", 54);

	assert_true(equal("10.0.0.1", 53, "10.0.0.1", 53));
	assert_false(equal("10.0.0.1", 53, "10.0.0.1", 54));
	assert_false(equal("10.0.0.1", 53, "10.0.0.2", 53));
	assert_true(equal("fd00::1", 53, "fd00:0::1", 53));
	assert_false(equal("fd00::1", 53, "fd00::1", 54));
	assert_false(equal("fd00::1", 53, "fd00::2", 53));
	assert_false(equal("0.0.0.0", 53, "::", 53));
	assert_true(address_same_host(&plain, &other));
	assert_false(address_same_host(&plain, &mapped));
	assert_false(address_same_host(&mapped, &plain));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts), cmocka_unit_test(test_families), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_scope), cmocka_unit_test(test_wildcard), cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

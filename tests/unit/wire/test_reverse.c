#include <stdio.h>

#include "packet.h"

static enum vigie_status read_address(const char *text, uint8_t address[16])
{
	struct vigie_name name;

	assert_int_equal(vigie_name_from_text(&name, text), VIGIE_OK);
	return vigie_name_to_address(&name, address);
}

static void expect_address(const char *text, const uint8_t *bytes, size_t length)
{
	uint8_t address[16];

	assert_int_equal(length, 16);
	assert_int_equal(read_address(text, address), VIGIE_OK);
	assert_memory_equal(address, bytes, 16);
}

static void expect_status(const char *text, enum vigie_status status)
{
	uint8_t address[16];

	assert_int_equal(read_address(text, address), status);
}

static void test_v4(void **state)
{
	expect_address("4.3.2.1.in-addr.arpa.", BYTES("\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4"));
	expect_address("255.100.10.0.IN-ADDR.ARPA.", BYTES("\0\0\0\0\0\0\0\0\0\0\xff\xff\0\12\144\xff"));
}

static void test_v6(void **state)
{
	expect_address("F.e.d.c.b.a.9.8.7.6.5.4.3.2.1.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
		       BYTES("\x20\1\xd\xb8\0\0\0\0\1\x23\x45\x67\x89\xab\xcd\xef"));
}

static void test_interior(void **state)
{
	expect_status("in-addr.arpa.", VIGIE_ENOENT);
	expect_status("10.in-addr.arpa.", VIGIE_ENOENT);
	expect_status("3.2.1.in-addr.arpa.", VIGIE_ENOENT);
	expect_status("ip6.arpa.", VIGIE_ENOENT);
	expect_status("8.b.d.0.1.0.0.2.ip6.arpa.", VIGIE_ENOENT);
	expect_status("e.d.c.b.a.9.8.7.6.5.4.3.2.1.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
		      VIGIE_ENOENT);
}

static void test_not_an_address(void **state)
{
	static const char *const names[] = {
		".",
		"arpa.",
		"4.3.2.1.example.org.",
		"in-addr.arpa.example.org.",
		"xin-addr.arpa.",
		"5.4.3.2.1.in-addr.arpa.",
		"4.3.2.256.in-addr.arpa.",
		"4.3.2.999.in-addr.arpa.",
		"4.3.2.1000.in-addr.arpa.",
		"4.3.2.00.in-addr.arpa.",
		"4.3.2.01.in-addr.arpa.",
		"4.3.2.010.in-addr.arpa.",
		"4.3.2.-1.in-addr.arpa.",
		"4.3.2.x.in-addr.arpa.",
		"4.3.2.1x.in-addr.arpa.",
		"_udp.10.in-addr.arpa.",
		"0-63.2.1.10.in-addr.arpa.", /* RFC 2317 */
		"g.ip6.arpa.",
		"10.ip6.arpa.",
		"\\032.ip6.arpa.",
		"0.f.e.d.c.b.a.9.8.7.6.5.4.3.2.1.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
		"f.e.d.c.b.a.9.8.7.6.5.4.3.2.1.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.-.ip6.arpa.",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		expect_status(names[i], VIGIE_EINVAL);
}

/* Every octet, as text and as what is no octet. */
static void test_octets(void **state)
{
	for (unsigned octet = 0; octet < 300; octet++) {
		uint8_t address[16];
		char text[64];

		snprintf(text, sizeof(text), "%u.0.0.10.in-addr.arpa.", octet);
		assert_int_equal(read_address(text, address), octet < 256 ? VIGIE_OK : VIGIE_EINVAL);
		if (octet < 256)
			assert_int_equal(address[15], octet);
	}
}

static bool is_reverse(const char *text)
{
	struct vigie_name name;

	assert_int_equal(vigie_name_from_text(&name, text), VIGIE_OK);
	return vigie_name_is_reverse(&name);
}

static void test_is_reverse(void **state)
{
	assert_true(is_reverse("in-addr.arpa."));
	assert_true(is_reverse("Ip6.aRPa."));
	assert_true(is_reverse("x.y.in-addr.arpa."));
	assert_false(is_reverse("."));
	assert_false(is_reverse("arpa."));
	assert_false(is_reverse("ip4.arpa."));
	assert_false(is_reverse("ip6.arpa.org."));
	assert_false(is_reverse("x\\003ip6.arpa."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v4),       cmocka_unit_test(test_v6),
		cmocka_unit_test(test_interior), cmocka_unit_test(test_not_an_address),
		cmocka_unit_test(test_octets),   cmocka_unit_test(test_is_reverse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

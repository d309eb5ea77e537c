#include "dump.h"

static void test_plain_keys(void **state)
{
	expect("Example.ORG { }", "dns://example.org.:53 { }");
	expect("example.org. { }", "dns://example.org.:53 { }");
	expect(". { }", "dns://.:53 { }");
	expect("example.org:1053 { }", "dns://example.org.:1053 { }");
	expect(":1053 { }", "dns://.:1053 { }");
	expect(".:65535 { }", "dns://.:65535 { }");
	expect("a\\.b.c { }", "dns://a\\.b.c.:53 { }");
}

static void test_transports(void **state)
{
	expect("dns://example.org { }", "dns://example.org.:53 { }");
	expect("tls://example.org { }", "tls://example.org.:853 { }");
	expect("tls://.:443 tls://. dns://. { }", "tls://.:443 tls://.:853 dns://.:53 { }");
	expect("dns://:5 { }", "dns://.:5 { }");
}

static void test_reverse_zones(void **state)
{
	expect("10.in-addr.arpa { }", "dns://10.in-addr.arpa.:53 { }");
	expect("10.0.0.0/24 { }", "dns://0.0.10.in-addr.arpa.:53 { }");
	expect("10.0.0.0/24:1053 { }", "dns://0.0.10.in-addr.arpa.:1053 { }");
	expect("tls://10.1.2.3/16 { }", "tls://1.10.in-addr.arpa.:853 { }"); /* host bits are ignored */
	expect("10.0.0.7/32 { }", "dns://7.0.0.10.in-addr.arpa.:53 { }");
	expect("0.0.0.0/0 { }", "dns://in-addr.arpa.:53 { }");
	expect("192.168.1.1/23 { }", "dns://0.168.192.in-addr.arpa.:53 dns://1.168.192.in-addr.arpa.:53 { }");
	expect("10.0.0.250/30 { }",
	       "dns://248.0.0.10.in-addr.arpa.:53 dns://249.0.0.10.in-addr.arpa.:53 "
	       "dns://250.0.0.10.in-addr.arpa.:53 dns://251.0.0.10.in-addr.arpa.:53 { }");
	expect("2001:db8::/32 { }", "dns://8.b.d.0.1.0.0.2.ip6.arpa.:53 { }");
	expect("2001:db8::/32:1053 { }", "dns://8.b.d.0.1.0.0.2.ip6.arpa.:1053 { }");
	expect("2001:db8::/31 { }",
	       "dns://8.b.d.0.1.0.0.2.ip6.arpa.:53 dns://9.b.d.0.1.0.0.2.ip6.arpa.:53 { }");
	expect("::/0 { }", "dns://ip6.arpa.:53 { }");
	expect("fe80::1/128 { }",
	       "dns://1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa.:53 { }");
	expect("0/25.2.0.192.in-addr.arpa:5 { }", "dns://0/25.2.0.192.in-addr.arpa.:5 { }"); /* RFC 2317 */
}

static void expect_zones(const char *text, size_t expected_count, const char *first, const char *last)
{
	struct vigie_word word = {.text = text, .file = "f", .line = 1};
	static struct vigie_name zones[VIGIE_ZONES_MAX];
	char name[VIGIE_NAME_TEXT_MAX];
	struct vigie_error error;
	size_t count;

	assert_int_equal(vigie_zones_from_word(&word, zones, &count, &error), VIGIE_OK);
	assert_int_equal(count, expected_count);
	assert_string_equal(vigie_name_to_text(zones[0].bytes, name), first);
	assert_string_equal(vigie_name_to_text(zones[count - 1].bytes, name), last);
}

static void test_counts_of_zones(void **state)
{
	expect_zones("cluster.local", 1, "cluster.local.", "cluster.local.");
	expect_zones(".", 1, ".", ".");
	expect_zones("10.0.0.0/17", 128, "0.0.10.in-addr.arpa.", "127.0.10.in-addr.arpa.");
	expect_zones("10.0.128.0/17", 128, "128.0.10.in-addr.arpa.", "255.0.10.in-addr.arpa.");
	expect_zones("10.128.0.0/9", VIGIE_ZONES_MAX, "128.10.in-addr.arpa.", "255.10.in-addr.arpa.");
	expect_zones("10.96.0.0/12", 16, "96.10.in-addr.arpa.", "111.10.in-addr.arpa.");
	expect_zones("128.0.0.0/1", 128, "128.in-addr.arpa.", "255.in-addr.arpa.");
	expect_zones("fd00::/29", 8, "0.0.0.0.0.0.d.f.ip6.arpa.", "7.0.0.0.0.0.d.f.ip6.arpa.");
	expect_zones("fd00::/7", 2, "c.f.ip6.arpa.", "d.f.ip6.arpa.");
}

static void test_zones_refused(void **state)
{
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
		{"cluster.local:53",
		 "f:7: 'cluster.local:53' is not a zone: a ':' may only stand before the port of a "
		 "server block and in an IPv6 network with its prefix length, such as 2001:db8::/32"},
		{"2001:db8::1",
		 "f:7: '2001:db8::1' is not a zone: a ':' may only stand before the port of a server "
		 "block and in an IPv6 network with its prefix length, such as 2001:db8::/32"},
		{"10.0.0.0/33", "f:7: '10.0.0.0/33': the prefix length '33' is above 32"},
		{"2001:db8::/129", "f:7: '2001:db8::/129': the prefix length '129' is above 128"},
		{"10.0.0.0/99999999999999999999", "f:7: '10.0.0.0/99999999999999999999': the prefix length "
						  "'99999999999999999999' is above 32"},
		{"10.0.0/24",
		 "f:7: '10.0.0/24' is not a network: it takes an address and a prefix length, such as "
		 "10.0.0.0/24 or 2001:db8::/32"},
		{"a-name-that-is-longer-than-any-address-can-be.example.org/24",
		 "f:7: 'a-name-that-is-longer-than-any-address-can-be.example.org/24' is not a network: it "
		 "takes an "
		 "address and a prefix length, such as 10.0.0.0/24 or 2001:db8::/32"},
		{"", "f:7: '' is not a zone: a name has labels of 1 to 63 bytes and at most 255 in all"},
		{"a..b",
		 "f:7: 'a..b' is not a zone: a name has labels of 1 to 63 bytes and at most 255 in all"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vigie_word word = {.text = cases[i].text, .file = "f", .line = 7};
		struct vigie_name zones[VIGIE_ZONES_MAX];
		struct vigie_error error;
		size_t count;

		assert_int_equal(vigie_zones_from_word(&word, zones, &count, &error), VIGIE_EINVAL);
		assert_string_equal(error.text, cases[i].error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_keys),    cmocka_unit_test(test_transports),
		cmocka_unit_test(test_reverse_zones), cmocka_unit_test(test_counts_of_zones),
		cmocka_unit_test(test_zones_refused),
	};

	return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}

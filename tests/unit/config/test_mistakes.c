#include "dump.h"

/* Each Corefile has one mistake that people make, and the line that tells them. */
static const struct {
	const char *name;
	const char *text;
	const char *error;
} mistakes[] = {
	{"nothing in it", "",
	 "Corefile:1: the Corefile is empty: it needs a server block, such as '. { errors }'"},
	{"comments only", "# errors\n\n",
	 "Corefile:1: the Corefile is empty: it needs a server block, such as '. { errors }'"},
	{"snippets only", "(s) {\n errors\n}\n",
	 "Corefile:3: the Corefile is empty: it needs a server block, such as '. { errors }'"},
	{"a block is not closed", ".:53 {\n    errors\n    health\n",
	 "Corefile:1: '{' is never closed: a '}' is missing in this file"},
	{"an inner block is not closed", ".:53 {\n health {\n  lameduck 5s\n ready\n}\n",
	 "Corefile:1: '{' is never closed: a '}' is missing in this file"},
	{"one brace too many", ". {\n errors\n}\n}\n", "Corefile:4: '}' closes nothing: no '{' is open here"},
	{"no space before the brace", ".:53{\n errors\n}\n",
	 "Corefile:1: '.:53{': '{' needs a space before it"},
	{"no space behind the brace", ". {errors\n}\n",
	 "Corefile:1: '{errors': '{' needs a space behind it, '{$' and '{%' need their '}'"},
	{"no space before the closing brace", ". {\n health { lameduck 5s}\n}\n",
	 "Corefile:2: '5s}': '}' needs a space before it"},
	{"no new line behind the closing brace", ". {\n}b.org {\n}\n",
	 "Corefile:2: '}b.org': '}' needs a space or a new line behind it"},
	{"a variable without its end", ". {\n forward . {$UPSTREAM\n}\n",
	 "Corefile:2: '{$UPSTREAM': '{' needs a space behind it, '{$' and '{%' need their '}'"},
	{"the brace of a directive on its own line", ". {\n health\n {\n  lameduck 5s\n }\n}\n",
	 "Corefile:3: '{' stands alone: it belongs at the end of the line that it continues"},
	{"a brace of nothing within blocks", ". {\n a {\n  {\n  }\n }\n}\n",
	 "Corefile:3: '{' stands alone: it belongs at the end of the line that it continues"},
	{"two directives on a line", ". {\n health { lameduck 5s } ready\n}\n",
	 "Corefile:2: 'ready' stands behind a '}': it needs a new line"},
	{"no key", "{\n errors\n}\n", "Corefile:1: '{': a server block needs a key before its '{'"},
	{"an empty key", "\"\" {\n errors\n}\n",
	 "Corefile:1: '{': a server block needs a key before its '{'"},
	{"a comma too many", "a.org, b.org, {\n errors\n}\n",
	 "Corefile:1: 'b.org': no key follows the comma behind it"},
	{"a comma at the end", "a.org,\n", "Corefile:1: 'a.org': no key follows the comma behind it"},
	{"a directive behind a block", ". {\n errors\n}\nlog\n",
	 "Corefile:4: 'log' has no '{': only a file with a single server block can do without"},
	{"a port beyond all", "example.org:65536 {\n}\n",
	 "Corefile:1: 'example.org:65536': '65536' is not a port, which is a number from 1 to 65535"},
	{"port zero", ".:0 {\n}\n",
	 "Corefile:1: '.:0': '0' is not a port, which is a number from 1 to 65535"},
	{"a word for a port", ".:domain {\n}\n",
	 "Corefile:1: '.:domain': 'domain' is not a port, which is a number from 1 to 65535"},
	{"no port behind the colon", "example.org: {\n}\n",
	 "Corefile:1: 'example.org:': '' is not a port, which is a number from 1 to 65535"},
	{"an empty label", "example..org {\n}\n",
	 "Corefile:1: 'example..org' is not a zone: a name has labels of 1 to 63 bytes and at most 255 in "
	 "all"},
	{"a label of 64 bytes", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl.org {\n}\n",
	 "Corefile:1: 'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl.org' is not a zone: "
	 "a name has "
	 "labels of 1 to 63 bytes and at most 255 in all"},
	{"no zone", "dns:// {\n}\n", "Corefile:1: 'dns://' has no zone: write '.' for the root"},
	{"an address for a network", "2001:db8::1 {\n}\n",
	 "Corefile:1: '2001:db8::1' is not a zone: a ':' may only stand before the port of a server block "
	 "and in an IPv6 "
	 "network with its prefix length, such as 2001:db8::/32"},
	{"a prefix too long", "10.0.0.0/33:53 {\n}\n",
	 "Corefile:1: '10.0.0.0/33:53': the prefix length '33' is above 32"},
	{"a short network", "10.0/16 {\n}\n",
	 "Corefile:1: '10.0/16' is not a network: it takes an address and a prefix length, such as "
	 "10.0.0.0/24 or "
	 "2001:db8::/32"},
	{"DNS over HTTPS", "https://example.org {\n}\n",
	 "Corefile:1: 'https://example.org': this transport is not supported, only dns:// and tls:// are"},
	{"gRPC", "grpc://example.org {\n}\n",
	 "Corefile:1: 'grpc://example.org': this transport is not supported, only dns:// and tls:// are"},
	{"QUIC", "quic://example.org {\n}\n",
	 "Corefile:1: 'quic://example.org': this transport is not supported, only dns:// and tls:// are"},
	{"the same key twice", "example.org b.org,\nEXAMPLE.org.:53 {\n}\n",
	 "Corefile:2: 'EXAMPLE.org.:53': zone 'example.org.' at port 53 is a key of this block already, by "
	 "'example.org' "
	 "at Corefile:1"},
	{"networks that overlap", "10.0.0.0/15 10.1.0.0/16 {\n}\n",
	 "Corefile:1: '10.1.0.0/16': zone '1.10.in-addr.arpa.' at port 53 is a key of this block already, by "
	 "'10.0.0.0/15' at Corefile:1"},
	{"a quote that is not closed", ". {\n log \"a b\n}\n", "Corefile:2: this '\"' is never closed"},
};

static void test_mistakes(void **state)
{
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		char *got = dump_text_at("Corefile", mistakes[i].text, strlen(mistakes[i].text));

		if (strncmp(got, "error: ", 7) != 0 || strcmp(got + 7, mistakes[i].error) != 0)
			fail_msg("%s:\n got      %s\n expected error: %s", mistakes[i].name, got,
				 mistakes[i].error);
		free(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_mistakes)};

	return cmocka_run_group_tests_name("mistakes", tests, NULL, NULL);
}

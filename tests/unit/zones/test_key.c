/* Keys: they sort as RFC 4034 section 6.1 says, and descendants stand behind their ancestor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "key.h"

struct key {
	uint8_t bytes[KEY_MAX];
	size_t length;
};

static struct key make(const char *text, size_t skip)
{
	struct vigie_name name;
	struct key key;

	assert_int_equal(vigie_name_from_text(&name, text), VIGIE_OK);
	key.length = key_make(&name, skip, key.bytes);
	return key;
}

/* The RFC's own example, with the bytes 0 and 1 put into it. */
static void test_order(void **state)
{
	static const char *const sorted[] = {
		"example.",          "a.example.",       "yljkjljk.a.example.",   "z.a.example.",
		"zabc.a.example.",   "z.example.",       "\\000.z.example.",      "x.\\000.z.example.",
		"\\000a.z.example.", "\\001.z.example.", "\\001\\000.z.example.", "\\002.z.example.",
		"*.z.example.",      "\\200.z.example.",
	};

	for (size_t i = 0; i < sizeof(sorted) / sizeof(*sorted); i++) {
		for (size_t j = 0; j < sizeof(sorted) / sizeof(*sorted); j++) {
			struct key a = make(sorted[i], 0);
			struct key b = make(sorted[j], 0);
			int order = key_compare(a.bytes, a.length, b.bytes, b.length);

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
}

static void test_skip(void **state)
{
	assert_int_equal(make("example.org.", 2).length, 0);
	assert_memory_equal(make("a.b.example.org.", 2).bytes, "b\0a\0", 4);
	assert_int_equal(make("a.b.example.org.", 2).length, 4);
}

static size_t common(const char *a, const char *b)
{
	struct key left = make(a, 0);
	struct key right = make(b, 0);

	return key_common(left.bytes, left.length, right.bytes, right.length);
}

static void test_common(void **state)
{
	assert_int_equal(common("a.b.c.", "x.b.c."), 2);
	assert_int_equal(common("a.b.c.", "b.c."), 2);
	assert_int_equal(common("ab.c.", "a.c."), 1);
	assert_int_equal(common("\\000.c.", "\\001.c."), 1);
	assert_int_equal(common("c.", "d."), 0);
	assert_int_equal(common(".", "."), 0);
}

/* The longest key: 255 bytes of names without a byte that needs no second one. */
static void test_longest(void **state)
{
	char text[VIGIE_NAME_TEXT_MAX] = "";
	struct key key;

	for (int label = 0; label < 4; label++) {
		for (int i = 0; i < (label < 3 ? 63 : 61); i++)
			strcat(text, "\\000");
		strcat(text, ".");
	}
	key = make(text, 0);
	assert_int_equal(key.length, 2 * (3 * 63 + 61) + 4);
	assert_true(key.length <= KEY_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_skip),
		cmocka_unit_test(test_common),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

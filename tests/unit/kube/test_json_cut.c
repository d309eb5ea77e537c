#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_cut.h"

/* Collects what was cut, each piece behind a '|', envelopes behind a '#'. */
struct collected {
	char text[4096];
	enum vigie_status refuse;
};

static enum vigie_status collect(struct collected *collected, char mark, const char *json, size_t length)
{
	size_t at = strlen(collected->text);

	snprintf(collected->text + at, sizeof(collected->text) - at, "%c%.*s", mark, (int)length, json);
	return collected->refuse;
}

static enum vigie_status on_object(void *argument, const char *json, size_t length)
{
	return collect(argument, '|', json, length);
}

static enum vigie_status on_envelope(void *argument, const char *json, size_t length)
{
	return collect(argument, '#', json, length);
}

/* Feeds in pieces of the given sizes: the first, then the rest. */
static enum vigie_status cut(enum json_cut_mode mode, const char *text, size_t split,
			     struct collected *collected, bool *between)
{
	struct json_cut cutter;
	enum vigie_status status;

	memset(collected, 0, sizeof(*collected));
	json_cut_init(&cutter, mode, on_object, on_envelope, collected);
	status = json_cut_feed(&cutter, text, split);
	if (!status)
		status = json_cut_feed(&cutter, text + split, strlen(text) - split);
	*between = json_cut_is_between(&cutter);
	json_cut_fini(&cutter);
	return status;
}

static void check_every_split(enum json_cut_mode mode, const char *text, const char *expected)
{
	for (size_t split = 0; split <= strlen(text); split++) {
		struct collected collected;
		bool between;

		assert_int_equal(cut(mode, text, split, &collected, &between), VIGIE_OK);
		assert_string_equal(collected.text, expected);
		assert_true(between);
	}
}

static void test_stream(void **state)
{
	check_every_split(JSON_CUT_STREAM, " {\"a\":1}{\"b\":{\"c\":[1,{\"d\":2}]}}\n\n{} ",
			  "|{\"a\":1}|{\"b\":{\"c\":[1,{\"d\":2}]}}|{}");
}

static void test_strings_and_escapes(void **state)
{
	check_every_split(JSON_CUT_STREAM, "{\"a}{\":\"\\\"}\\\\\",\"b\":\"[\\u007d\"}{\"c\":\"\"}",
			  "|{\"a}{\":\"\\\"}\\\\\",\"b\":\"[\\u007d\"}|{\"c\":\"\"}");
}

static void test_list(void **state)
{
	check_every_split(
		JSON_CUT_LIST,
		"{\"kind\":\"List\",\"items\":[{\"a\":[1]}, {\"items\":[{}]}\n],\"metadata\":{\"x\":\"]\"}}",
		"|{\"a\":[1]}|{\"items\":[{}]}#{\"kind\":\"List\",\"items\":[],\"metadata\":{\"x\":\"]\"}}");
}

static void test_list_that_is_empty(void **state)
{
	check_every_split(JSON_CUT_LIST, "{\"items\" : [ ] }", "#{\"items\" : [] }");
	check_every_split(JSON_CUT_LIST, "{\"items\":null,\"a\":[{}]}", "#{\"items\":null,\"a\":[{}]}");
	check_every_split(JSON_CUT_LIST, "{\"a\":\"items\",\"b\":[{}]}", "#{\"a\":\"items\",\"b\":[{}]}");
}

static void test_lists_back_to_back(void **state)
{
	check_every_split(JSON_CUT_LIST, "{\"items\":[{}]}\n{\"items\":[{},{}]}",
			  "|{}#{\"items\":[]}|{}|{}#{\"items\":[]}");
}

static void test_nested_items_are_not_items(void **state)
{
	check_every_split(JSON_CUT_LIST, "{\"metadata\":{\"items\":[{\"a\":1}]},\"items\":[]}",
			  "#{\"metadata\":{\"items\":[{\"a\":1}]},\"items\":[]}");
}

static void test_cut_short(void **state)
{
	const char *text = "{\"a\":{\"b\":\"c\"}}";

	for (size_t length = 1; length < strlen(text); length++) {
		struct collected collected;
		struct json_cut cutter;

		memset(&collected, 0, sizeof(collected));
		json_cut_init(&cutter, JSON_CUT_STREAM, on_object, on_envelope, &collected);
		assert_int_equal(json_cut_feed(&cutter, text, length), VIGIE_OK);
		assert_false(json_cut_is_between(&cutter));
		assert_string_equal(collected.text, "");
		json_cut_fini(&cutter);
	}
}

static void test_garbage(void **state)
{
	static const char *const garbage[] = {"[]", "x", "\"a\"", "}", "{}}", "{} x", ",", "{},{}"};
	struct collected collected;
	bool between;

	for (size_t i = 0; i < sizeof(garbage) / sizeof(*garbage); i++)
		assert_int_equal(cut(JSON_CUT_STREAM, garbage[i], 0, &collected, &between), VIGIE_EINVAL);
	assert_int_equal(cut(JSON_CUT_LIST, "{\"items\":[[1]]}", 0, &collected, &between), VIGIE_EINVAL);
}

static void test_callback_ends_it(void **state)
{
	struct collected collected = {.refuse = VIGIE_ENOENT};
	struct json_cut cutter;

	json_cut_init(&cutter, JSON_CUT_STREAM, on_object, on_envelope, &collected);
	assert_int_equal(json_cut_feed(&cutter, "{}{}", 4), VIGIE_ENOENT);
	assert_string_equal(collected.text, "|{}");
	json_cut_fini(&cutter);
}

static void test_limits(void **state)
{
	struct collected collected = {0};
	struct json_cut cutter;
	char *many = malloc(JSON_CUT_OBJECT_MAX);

	assert_non_null(many);
	memset(many, 'a', JSON_CUT_OBJECT_MAX);
	json_cut_init(&cutter, JSON_CUT_STREAM, on_object, on_envelope, &collected);
	assert_int_equal(json_cut_feed(&cutter, "{\"", 2), VIGIE_OK);
	assert_int_equal(json_cut_feed(&cutter, many, JSON_CUT_OBJECT_MAX - 2), VIGIE_OK);
	assert_int_equal(json_cut_feed(&cutter, "a", 1), VIGIE_ENOSPC);
	json_cut_fini(&cutter);
	json_cut_init(&cutter, JSON_CUT_LIST, on_object, on_envelope, &collected);
	assert_int_equal(json_cut_feed(&cutter, "{\"", 2), VIGIE_OK);
	assert_int_equal(json_cut_feed(&cutter, many, JSON_CUT_ENVELOPE_MAX - 2), VIGIE_OK);
	assert_int_equal(json_cut_feed(&cutter, "a", 1), VIGIE_ENOSPC);
	json_cut_fini(&cutter);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_strings_and_escapes),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_list_that_is_empty),
		cmocka_unit_test(test_lists_back_to_back),
		cmocka_unit_test(test_nested_items_are_not_items),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_callback_ends_it),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests_name("json_cut", tests, NULL, NULL);
}

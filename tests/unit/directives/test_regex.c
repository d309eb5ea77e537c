#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "regex.h"
#include "vigie/log.h"

static struct vigie_error error;

static int setup(void **state)
{
	*state = vigie_arena_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	vigie_arena_free(*state);
	return 0;
}

static const struct regex *compile(void **state, const char *pattern)
{
	const struct vigie_word word = {.text = pattern, .file = "F", .line = 1};

	return regex_new(*state, &word, &error);
}

/* What a pattern makes of a text by `to`; "no" when it is not found. The text lives until the next call. */
static const char *fill(void **state, const char *pattern, const char *text, const char *to)
{
	static char filled[256];
	const struct regex *regex = compile(state, pattern);
	struct regex_groups groups;

	assert_non_null(regex);
	if (!regex_match(regex, text, strlen(text), &groups))
		return "no";
	assert_true(regex_fill(to, &groups, filled, sizeof(filled)));
	return filled;
}

/* What people write for RE2 means the same here. */
static void test_syntax_of_re2(void **state)
{
	static const struct {
		const char *pattern;
		const char *text;
		const char *whole;
	} cases[] = {
		{"(?P<host>[a-z]+)-(?P<zone>[a-z0-9]+)", "www-eu1.example.", "www-eu1"},
		{"(?:a|b)+", "xxabba", "abba"},
		{"(?i)WWW\\.", "www.example.", "www."},
		{"a(?i:B)c", "aBc", "aBc"},
		{"[[:alpha:]]+[[:^digit:]]", "1ab-", "ab-"},
		{"\\d{1,3}", "10203", "102"},
		{"\\w+\\b", "foo.bar", "foo"},
		{"a.c", "a\nc", "no"},
		{"(?s)a.c", "a\nc", "a\nc"},
		{"^b", "a\nb", "no"},
		{"(?m)^b$", "a\nb\nc", "b"},
		{"a$", "a\n", "no"}, /* the end, not the end of the last line */
		{"a\\z", "a", "a"},
		{"\\Aa", "ba", "no"},
		{"x*?y", "xxy", "xxy"},
		{"(?U)a+", "aaa", "a"},
		{"\\x{2e}|\\x2d", "a-b", "-"},
		{"\\Q.*\\E", "a.*b", ".*"},
		{"[^.]+[.]", "ab.cd.", "ab."},
		{"a|ab", "ab", "a"}, /* the leftmost alternative, not the longest */
		{"", "anything", ""},
		{"\\pL+", "abc1", "abc"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(fill(state, cases[i].pattern, cases[i].text, "{0}"), cases[i].whole);
}

static void test_fill(void **state)
{
	assert_string_equal(fill(state, "(a)(b)?(c)", "ac", "{3}{2}{1}{0}"), "caac");
	assert_string_equal(fill(state, "(a)", "a", "{1}{2}{}{x}{1"), "a{2}{}{x}{1");
	assert_string_equal(fill(state, "(.*)", "{1}", "{1}"),
			    "{1}"); /* what a group caught is not looked at again */
}

static void test_fill_without_room(void **state)
{
	const struct regex *regex = compile(state, "(.*)");
	struct regex_groups groups;
	char text[8];

	assert_true(regex_match(regex, "abcdefg", 7, &groups));
	assert_true(regex_fill("{1}", &groups, text, sizeof(text)));
	assert_string_equal(text, "abcdefg");
	assert_false(regex_fill("{1}.", &groups, text, sizeof(text)));
	assert_false(regex_fill("{1}{1}", &groups, text, sizeof(text)));
}

static void test_groups(void **state)
{
	const struct regex *regex = compile(state, "(?P<a>x)(y)(?P<b>z)");

	assert_int_equal(regex_group_count(regex), 3);
	assert_int_equal(regex_group_number(regex, "a"), 1);
	assert_int_equal(regex_group_number(regex, "b"), 3);
	assert_int_equal(regex_group_number(regex, "c"), 0);
}

/* More groups than are told of: the match is one all the same. */
static void test_many_groups(void **state)
{
	char pattern[3 * 100 + 1] = "";
	char text[100];
	struct regex_groups groups;

	for (int i = 0; i < 100; i++)
		strcat(pattern, "(a)");
	memset(text, 'a', sizeof(text));
	assert_true(regex_match(compile(state, pattern), text, sizeof(text), &groups));
	assert_int_equal(groups.count, REGEX_GROUPS_MAX);
}

/* Patterns that take for ever, on texts as long as a name can be: they come to an end, as no match. */
static void test_catastrophes(void **state)
{
	static const char *const patterns[] = {"^(a+)+[bc]$",     "^(a|a)*[bc]$", "^(a|aa)+[bc]$",
					       "^(.*a){20}[bc]$", "(x+x+)+[yz]",  "^((a*)*)*[bc]$"};
	char text[1024];

	vigie_log_set_level(VIGIE_LOG_ERROR);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
		memset(text, strchr(patterns[i], 'x') ? 'x' : 'a', sizeof(text));
		assert_false(regex_match(compile(state, patterns[i]), text, sizeof(text), NULL));
	}
	vigie_log_set_level(VIGIE_LOG_INFO);
}

static void test_mistakes(void **state)
{
	char *pattern = malloc(REGEX_PATTERN_MAX + 2);

	assert_non_null(pattern);
	assert_null(compile(state, "a("));
	assert_string_equal(error.text,
			    "F:1: 'a(' is no regular expression: missing closing parenthesis, at offset 2");
	assert_null(compile(state, "\\C")); /* a byte of a character */
	memset(pattern, 'a', REGEX_PATTERN_MAX + 1);
	pattern[REGEX_PATTERN_MAX + 1] = 0;
	assert_null(compile(state, pattern));
	pattern[REGEX_PATTERN_MAX] = 0;
	assert_non_null(compile(state, pattern));
	free(pattern);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_syntax_of_re2, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fill_without_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_catastrophes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mistakes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

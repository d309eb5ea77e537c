#include "dump.h"

/* What a word of a directive's arguments becomes. */
static void expect_args(const char *written, const char *args)
{
	char text[4096];
	char expected[4096];

	snprintf(text, sizeof(text), ".\nx %s\n", written);
	snprintf(expected, sizeof(expected), "dns://.:53 { x %s }", args);
	expect(text, expected);
}

static void test_words(void **state)
{
	expect_args("a  b\tc", "<a> <b> <c>");
	expect_args("a\u00a0b\u3000c\xc2\x85"
		    "d",
		    "<a> <b> <c> <d>");
	expect_args("Gr\u00fc\u00dfe", "<Gr\u00fc\u00dfe>");
	expect_args("a\\ b \\",
		    "<a\\> <b> <\\>"); /* a backslash shields nothing outside of quotes, not even a newline */
}

static void test_quotes(void **state)
{
	expect_args("\"a b\" c", "<a b> <c>");
	expect_args("\"\" c", "<> <c>");
	expect_args("\"say \\\"hi\\\"\"", "<say \"hi\">");
	expect_args("\"a\\.b\\n\"", "<a\\.b\\n>");
	expect_args("\"a\\\\\" b", "<a\\\\> <b>");
	expect_args("\"# { } import\"", "<# { } import>");
	expect_args("\"a\"b", "<a> <b>");
	expect_args("a\"b c\"", "<a\"b> <c\">");
	expect_args("\"{\" \"}\"", "<{> <}>");
	expect_args("\"one\ntwo\" three", "<one\ntwo> <three>");
}

static void test_lines_go_on_behind_a_quoted_newline(void **state)
{
	expect(".\nx \"one\ntwo\"\ny }", "error: Corefile:4: '}' closes nothing: no '{' is open here");
}

static void test_comments(void **state)
{
	expect_args("a # b { c", "<a>");
	expect_args("a#b c", "<a>");
	expect("# first\n. { # { here\n#}\nx\n}# end", "dns://.:53 { x }");
}

static void test_encodings(void **state)
{
	expect("\xef\xbb\xbf. {\n x\n}\n", "dns://.:53 { x }");
	expect(". {\r\n x a\r\n y\r\n}\r\n", "dns://.:53 { x <a> y }");
}

static void test_zero_byte(void **state)
{
	char *got = dump_text_at("Corefile", ". {\n x\n \0\n}\n", 12);

	assert_string_equal(got, "error: Corefile:3: a zero byte: this is no text file");
	free(got);
}

static void test_environment(void **state)
{
	setenv("ONE", "1", 1);
	setenv("BRACE", "{", 1);
	setenv("SELF", "{$SELF}", 1);
	setenv("LIST", "a.org,b.org", 1);
	setenv("WORDS", "two words", 1);
	unsetenv("NONE");
	expect_args("{$ONE} {%ONE%} a{$ONE}b{%ONE%}{$ONE}", "<1> <1> <a1b11>");
	expect_args("{$NONE} x{%NONE%}y", "<> <xy>");
	expect_args("\"{$ONE} {$}\" {$} {%%}", "<1 {$}> <{$}> <{%%}>");
	expect_args("{$BRACE} {$SELF} {$WORDS}", "<{> <{$SELF}> <two words>");
	expect("{$LIST}:{$ONE} {\n {$ONE}\n}", "dns://a.org.:53 dns://b.org.:1 { 1 }");
	expect("{$NONE} b.org {\n}", "dns://b.org.:53 { }");
	expect(".\n{$NONE} a", "error: Corefile:2: '': an empty word at the start of a line (is an "
			       "environment variable unset?)");
}

static void test_environment_limit(void **state)
{
	char *value = malloc(100001);
	char *expected = NULL;

	memset(value, 'x', 100000);
	value[100000] = 0;
	setenv("BIG", value, 1);
	assert_true(asprintf(&expected, "dns://.:53 { %s }", value) > 0);
	expect(". { {$BIG} }", expected);
	expect(". { {$BIG}{$BIG}{$BIG}{$BIG}{$BIG}{$BIG}{$BIG}{$BIG}{$BIG}{$BIG}{$BIG} }",
	       "error: Corefile:1: '{$BIG}{$BIG}{$BIG}{$BIG}{$BIG}{$BIG}{$BIG}{$BIG}{$BIG}{$BIG}{$BI…' is "
	       "longer "
	       "than 1048576 bytes with the environment's values");
	unsetenv("BIG");
	free(expected);
	free(value);
}

static void test_braces_in_words(void **state)
{
	expect_args("{combined} a{2,3} \\{ \\} [a-z]{1,} {>id}",
		    "<{combined}> <a{2,3}> <\\{> <\\}> <[a-z]{1,}> <{>id}>");
}

/* One level in the block, then the rest within each other. */
static void test_nesting_limit(void **state)
{
	char text[4096] = ".";
	char *got;

	for (int i = 0; i < VIGIE_COREFILE_NESTING_MAX; i++)
		strcat(text, " {\n a");
	for (int i = 0; i < VIGIE_COREFILE_NESTING_MAX; i++)
		strcat(text, "\n}");
	got = dump_text_at("Corefile", text, strlen(text));
	assert_memory_equal(got, "dns", 3);
	free(got);

	strcpy(text, ".");
	for (int i = 0; i < VIGIE_COREFILE_NESTING_MAX + 1; i++)
		strcat(text, " {\n a");
	expect(text, "error: Corefile:33: '{': blocks nest more than 32 deep");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_lines_go_on_behind_a_quoted_newline),
		cmocka_unit_test(test_comments),
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_zero_byte),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_environment_limit),
		cmocka_unit_test(test_braces_in_words),
		cmocka_unit_test(test_nesting_limit),
	};

	return cmocka_run_group_tests_name("lexer", tests, NULL, NULL);
}

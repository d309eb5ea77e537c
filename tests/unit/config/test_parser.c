#include "dump.h"

static void test_blocks(void **state)
{
	expect(". {\n errors\n}\nexample.org {\n log a b\n}\n",
	       "dns://.:53 { errors } dns://example.org.:53 { log <a> <b> }");
	expect(". {\n}", "dns://.:53 { }");
	expect(".\n{\n errors\n}", "dns://.:53 { errors }");
}

static void test_without_braces(void **state)
{
	expect("example.org:1053", "dns://example.org.:1053 { }");
	expect("a.org b.org\nerrors\nhealth {\n lameduck 5s\n}\nlog",
	       "dns://a.org.:53 dns://b.org.:53 { errors health { lameduck <5s> } log }");
}

static void test_bodies(void **state)
{
	expect(". {\n a {\n b c {\n d\n }\n e\n }\n f {\n }\n}", "dns://.:53 { a { b <c> { d } e } f { } }");
	expect(". { health { lameduck 5s } }", "dns://.:53 { health { lameduck <5s> } }");
	expect(". {\n health :8080 { lameduck 5s\n }\n ready\n}",
	       "dns://.:53 { health <:8080> { lameduck <5s> } ready }");
	expect(". { a }\n. { b }", "dns://.:53 { a } dns://.:53 { b }"); /* `bind` may separate them */
}

/* An empty pair of braces differs from none. */
static void test_empty_body(void **state)
{
	struct vigie_arena *arena = vigie_arena_new();
	struct vigie_corefile corefile;
	const struct vigie_statement *statements;

	assert_int_equal(vigie_corefile_parse(&corefile, arena, "x", ".\na\nb {\n}", 9, 53, NULL), VIGIE_OK);
	statements = corefile.blocks[0].statements;
	assert_null(statements[0].body);
	assert_non_null(statements[1].body);
	assert_int_equal(statements[1].body_count, 0);
	assert_int_equal(statements[1].name.line, 3);
	assert_string_equal(statements[1].name.file, "x");
	vigie_arena_free(arena);
}

static void test_lists_of_keys(void **state)
{
	const char *both = "dns://a.org.:53 dns://b.org.:53 { x }";

	expect("a.org b.org {\n x\n}", both);
	expect("a.org, b.org {\n x\n}", both);
	expect("a.org,b.org {\n x\n}", both);
	expect("a.org , b.org {\n x\n}", both);
	expect("a.org,\nb.org {\n x\n}", both);
	expect("a.org,\n\n# more\nb.org\n{\n x\n}", both);
	expect("a.org,\nb.org\nx", both);
	expect("\"a.org\" b.org {\n x\n}", both);
}

/* VIGIE_COREFILE_KEYS_MAX keys: 64 networks of 128 zones. */
static void test_limit_of_keys(void **state)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	char *got;

	for (unsigned i = 0; i < VIGIE_COREFILE_KEYS_MAX / VIGIE_ZONES_MAX; i++)
		fprintf(out, "10.%u.0.0/17 ", i);
	fprintf(out, "{\n}\n");
	fclose(out);
	got = dump_text_at("Corefile", text, size);
	assert_memory_equal(got, "dns", 3);
	free(got);

	text = realloc(text, size + 20);
	strcat(text, "one.more {\n}\n");
	expect(text, "error: Corefile:3: 'one.more': more than 8192 keys, networks unfolded");
	free(text);
}

static void test_limit_of_words(void **state)
{
	size_t size = (VIGIE_COREFILE_WORDS_MAX + 1) * 2;
	char *text = malloc(size + 1);
	char *got;

	for (size_t i = 0; i < size; i += 2)
		memcpy(text + i, i == 2 ? "\nx" : " x", 3);
	memcpy(text, " .", 2);
	got = dump_text_at("Corefile", text, size - 2);
	assert_memory_equal(got, "dns", 3);
	free(got);
	expect(text, "error: Corefile:2: more than 262144 words in all files together, imports unfolded "
		     "(last: '')");
	free(text);
}

static void test_read(void **state)
{
	struct vigie_arena *arena = vigie_arena_new();
	struct vigie_corefile corefile;
	struct vigie_error error;
	FILE *file;

	assert_int_equal(vigie_corefile_read(&corefile, arena, "Corefile", 1053, &error), VIGIE_EIO);
	assert_string_equal(error.text, "Corefile: No such file or directory");
	assert_int_equal(vigie_corefile_read(&corefile, arena, "/", 1053, &error), VIGIE_EIO);
	assert_string_equal(error.text, "/: Is a directory");

	file_write("Corefile", ". {\n x\n}\n");
	assert_int_equal(vigie_corefile_read(&corefile, arena, "Corefile", 1053, &error), VIGIE_OK);
	assert_int_equal(corefile.block_count, 1);
	assert_int_equal(corefile.blocks[0].keys[0].port, 1053);

	/* A file of exactly the limit, then one byte more. */
	file = fopen("Corefile", "a");
	for (int i = 9; i < VIGIE_COREFILE_MAX; i++)
		fputc('\n', file);
	fflush(file);
	assert_int_equal(vigie_corefile_read(&corefile, arena, "Corefile", 1053, &error), VIGIE_OK);
	fputc('\n', file);
	fclose(file);
	assert_int_equal(vigie_corefile_read(&corefile, arena, "Corefile", 1053, &error), VIGIE_EINVAL);
	assert_string_equal(error.text, "Corefile: larger than 1048576 bytes");
	vigie_arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_without_braces),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_empty_body),
		cmocka_unit_test(test_lists_of_keys),
		cmocka_unit_test(test_limit_of_keys),
		cmocka_unit_test(test_limit_of_words),
		cmocka_unit_test_setup_teardown(test_read, folder_enter, folder_leave),
	};

	return cmocka_run_group_tests_name("parser", tests, NULL, NULL);
}

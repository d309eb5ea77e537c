#include "dump.h"

static void test_snippets(void **state)
{
	expect("(s) {\n errors\n log a\n}\n. {\n x\n import s\n y\n}\nb.org {\n import s\n}",
	       "dns://.:53 { x errors log <a> y } dns://b.org.:53 { errors log <a> }");
	expect("(s)\n{\n lameduck 5s\n}\n. {\n health {\n import s\n }\n}",
	       "dns://.:53 { health { lameduck <5s> } }");
	expect("(a) {\n x\n}\n(b) {\n import a\n y {\n z\n }\n}\n. { import b }", "dns://.:53 { x y { z } }");
	expect("(b) {\n import a\n}\n(a) {\n x\n}\n. {\n import b\n}",
	       "dns://.:53 { x }"); /* before its use is enough */
	expect("(block) {\n . {\n x\n }\n}\nimport block", "dns://.:53 { x }");
	expect("(none) {\n}\n. {\n import none\n x\n}", "dns://.:53 { x }");
	expect("(s) {\n x\n}\n.\nimport s\ny", "dns://.:53 { x y }");
	expect(".\n\"import\" a", "dns://.:53 { import <a> }");
	expect(".\nx import s", "dns://.:53 { x <import> <s> }");
}

static void test_files(void **state)
{
	mkdir("sub", 0700);
	file_write("sub/inner", "import deeper\n");
	file_write("sub/deeper", "x a\ny {\n z\n}");
	file_write("hosts", "a.org b.org");
	file_write("snippets", "(s) {\n x\n}\n");
	file_write("block", "c.org {\n import s\n}\n");
	file_write("empty", "# nothing\n");
	expect(". {\n import sub/inner\n w\n}", "dns://.:53 { x <a> y { z } w }");
	expect("import snippets\nimport empty\nimport block\n. {\n x\n}",
	       "dns://c.org.:53 { x } dns://.:53 { x }");
	expect("import hosts\n{\n x\n}", "dns://a.org.:53 dns://b.org.:53 { x }");
	expect("c.org,\nimport hosts\n{\n x\n}", "dns://c.org.:53 dns://a.org.:53 dns://b.org.:53 { x }");
}

/* Relative to the importing file, not to the current directory; absolute paths as they are. */
static void test_paths(void **state)
{
	char path[128];
	char text[256];

	mkdir("a[b", 0700);
	mkdir("a[b/conf", 0700);
	file_write("a[b/conf/one.conf", "one");
	file_write("a[b/conf/two.conf", "two");
	snprintf(path, sizeof(path), "%s/a[b/Corefile", folder);
	assert_int_equal(chdir("/"), 0);
	expect_at(path, ". {\n import conf/one.conf\n}", "dns://.:53 { one }");
	expect_at(path, ". {\n import ./conf/*.conf\n}", "dns://.:53 { one two }");
	expect_at(path, ". {\n import conf/../conf/tw?.conf\n}", "dns://.:53 { two }");
	snprintf(text, sizeof(text), ". {\n import %s/a?b/conf/one.conf\n}", folder);
	expect(text, "dns://.:53 { one }");
}

static void test_patterns(void **state)
{
	mkdir("custom", 0700);
	mkdir("custom/.hidden", 0700);
	expect(". {\n import custom/*.override\n x\n}\nimport custom/*.server", "dns://.:53 { x }");
	expect(". {\n import absent/*.override\n x\n}", "dns://.:53 { x }");
	file_write("custom/b.override", "b");
	file_write("custom/a.override", "a");
	file_write("custom/z.server", "z.org {\n z\n}");
	expect(". {\n import custom/*.override\n x\n}\nimport custom/*.server",
	       "dns://.:53 { a b x } dns://z.org.:53 { z }");
	expect(". {\n}\nimport custom/*", "error: custom/a.override:1: 'a' has no '{': only a file with a "
					  "single server block can do without");
}

static void test_environment(void **state)
{
	setenv("WHICH", "s", 1);
	expect("(s) {\n x\n}\n. {\n import {$WHICH}\n}", "dns://.:53 { x }");
}

/* The mistake is named where it stands, not where it was imported. */
static void test_mistakes(void **state)
{
	mkdir("dir", 0700);
	file_write("open", "x {\n y\n");
	file_write("close", "x\n}\n");
	file_write("key", "a..b {\n}\n");
	expect(". {\n import open\n}", "error: open:1: '{' is never closed: a '}' is missing in this file");
	expect(". {\n import close\n}", "error: close:2: '}' closes nothing: no '{' is open here");
	expect("import key", "error: key:1: 'a..b' is not a zone: a name has labels of 1 to 63 bytes and at "
			     "most 255 in all");
	expect(". {\n import absent\n}",
	       "error: Corefile:2: import 'absent': no snippet has that name, and file 'absent': "
	       "No such file or directory");
	expect(". {\n import dir\n}", "error: Corefile:2: import 'dir': 'dir' is not a file");
	expect("import /proc/self/mem", /* a file whose first byte cannot be read */
	       "error: Corefile:1: import '/proc/self/mem': file '/proc/self/mem': Input/output error");
	expect(". {\n import\n}", "error: Corefile:2: 'import' needs a snippet, a file or a pattern");
	expect("import", "error: Corefile:1: 'import' needs a snippet, a file or a pattern");
	expect(". {\n import \"\"\n}", "error: Corefile:2: 'import' needs a snippet, a file or a pattern");
	expect(". {\n import a b\n}",
	       "error: Corefile:2: 'b': 'import' takes one argument, a snippet, a file or a pattern");
	expect(". {\n import a {\n }\n}",
	       "error: Corefile:2: '{': 'import' takes one argument, a snippet, a file or a pattern");
	expect("import /*/*",
	       "error: Corefile:1: import '/*/*': a pattern may hold one '*' and one '?', and no '['");
	expect("(s) {\n}\n(s) {\n}", "error: Corefile:3: snippet '(s)' is defined at Corefile:1 already");
	expect("(s)\nx", "error: Corefile:1: snippet '(s)' needs a '{' behind its name");
	expect("() {\n}", "error: Corefile:1: '()': a snippet needs a name");
}

static void test_large_file(void **state)
{
	FILE *file = fopen("large", "w");

	for (int i = 0; i < VIGIE_COREFILE_MAX; i++)
		fputc('\n', file);
	fflush(file);
	expect(". {\n import large\n}", "dns://.:53 { }");
	fputc('\n', file);
	fclose(file);
	expect(". {\n import large\n}",
	       "error: Corefile:2: import 'large': file 'large' is larger than 1048576 bytes");
}

/* A chain of imports as long as is allowed, one longer, and endless ones. */
static void test_nested_imports(void **state)
{
	char name[16];
	char text[64];

	file_write("0", "x");
	for (int i = 1; i <= VIGIE_COREFILE_IMPORTS_MAX; i++) {
		snprintf(name, sizeof(name), "%d", i);
		snprintf(text, sizeof(text), "import %d\n", i - 1);
		file_write(name, text);
	}
	expect(".\nimport 31", "dns://.:53 { x }");
	expect(".\nimport 32",
	       "error: 1:1: import '0': imports nest more than 32 deep, something imports itself");
	file_write("self", "import self");
	expect(".\nimport self",
	       "error: self:1: import 'self': imports nest more than 32 deep, something imports itself");
	expect("(a) {\n import a\n}\n.\nimport a",
	       "error: Corefile:2: import 'a': imports nest more than 32 deep, something imports itself");
	expect("(a) {\n import b\n}\n(b) {\n import a\n}\nimport b",
	       "error: Corefile:2: import 'b': imports nest more than 32 deep, something imports itself");
}

/* Snippets that double what they import come to the limit of words before memory ends. */
static void test_growing_imports(void **state)
{
	char text[4096] = "(s0) {\n x\n x\n}\n";

	for (int i = 1; i <= 20; i++)
		sprintf(text + strlen(text), "(s%d) {\n import s%d\n import s%d\n}\n", i, i - 1, i - 1);
	strcat(text, ".\nimport s20\n");
	{
		char *got = dump_text_at("Corefile", text, strlen(text));

		assert_non_null(strstr(
			got, "more than 262144 words in all files together, imports unfolded (last: 's"));
		free(got);
	}
}

static void test_limit_of_files(void **state)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	file_write("empty", "");
	fputs(".\n", out);
	for (int i = 0; i < VIGIE_COREFILE_FILES_MAX; i++)
		fputs("import empty\n", out);
	fflush(out);
	expect(text, "dns://.:53 { }");
	fputs("import empty\n", out);
	fclose(out);
	expect(text, "error: Corefile:4098: import 'empty': more than 4096 files are imported");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_snippets, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(test_files, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(test_paths, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(test_patterns, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(test_environment, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(test_mistakes, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(test_large_file, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(test_nested_imports, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(test_growing_imports, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(test_limit_of_files, folder_enter, folder_leave),
	};

	return cmocka_run_group_tests_name("import", tests, NULL, NULL);
}

/* Stamps of files: each way in which a file may become another one. */
#include "vigie/file_stamp.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/vigie-stamp-XXXXXX";
static char path[64];
static char other[64];

static void write_file(const char *name, const char *text, long seconds)
{
	const struct timespec times[] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
	FILE *file = fopen(name, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(utimensat(AT_FDCWD, name, times, 0), 0);
}

static bool changed(struct vigie_file_stamp *last)
{
	struct vigie_file_stamp now = vigie_file_stamp(path);
	bool same = vigie_file_stamp_same(&now, last);

	*last = now;
	return !same;
}

static void test_what_makes_another_file(void **state)
{
	struct vigie_file_stamp last = vigie_file_stamp(path);

	assert_false(last.exists);
	assert_false(changed(&last));
	write_file(path, "one", 1000);
	assert_true(changed(&last));
	assert_true(last.exists);
	assert_false(changed(&last));
	write_file(path, "two", 1001); /* the time alone */
	assert_true(changed(&last));
	write_file(path, "three", 1001); /* the size alone */
	assert_true(changed(&last));
	write_file(other, "four!", 1001); /* the inode alone: renamed over it */
	assert_int_equal(rename(other, path), 0);
	assert_true(changed(&last));
	assert_int_equal(unlink(path), 0);
	assert_true(changed(&last));
	assert_int_equal(mkdir(path, 0700), 0);
	assert_false(changed(&last)); /* a folder is no file */
	assert_int_equal(rmdir(path), 0);
}

static void test_a_link_leads_to_another_file(void **state)
{
	struct vigie_file_stamp last = vigie_file_stamp(path);

	write_file(other, "text", 1000);
	assert_int_equal(symlink(other, path), 0);
	assert_true(changed(&last));
	write_file(other, "text", 1001);
	assert_true(changed(&last));
	assert_int_equal(unlink(path) || unlink(other), 0);
}

static int make_folder(void **state)
{
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/file", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	return 0;
}

static int remove_folder(void **state)
{
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_makes_another_file),
		cmocka_unit_test(test_a_link_leads_to_another_file),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* Files that are put in their place whole, or not at all: then nothing is left of them. */
#include "vigie/new_file.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/vigie-new-XXXXXX";
static char path[64];
static char new_path[80];

static enum vigie_status put(const char *text, struct vigie_error *error)
{
	struct vigie_new_file file;

	vigie_new_file_begin(&file, "test file", path);
	vigie_new_file_write(&file, text, strlen(text));
	return vigie_new_file_commit(&file, error);
}

static void holds(const char *text)
{
	char read[16] = "";
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	assert_non_null(fgets(read, sizeof(read), file));
	fclose(file);
	assert_string_equal(read, text);
	assert_int_equal(access(new_path, F_OK), -1);
}

static void fails(int number, const struct vigie_error *error)
{
	char text[200];

	snprintf(text, sizeof(text), "cannot write the test file '%s': %s", path, strerror(number));
	assert_string_equal(error->text, text);
	assert_int_equal(access(new_path, F_OK), -1);
}

static void test_it_replaces_the_old_one(void **state)
{
	struct vigie_new_file file;
	struct stat stat_of;

	assert_int_equal(put("one", NULL), VIGIE_OK);
	holds("one");
	vigie_new_file_begin(&file, "test file", path);
	vigie_new_file_write(&file, "tw", 2);
	assert_int_equal(access(new_path, F_OK), 0);
	vigie_new_file_write(&file, "o", 1);
	assert_int_equal(vigie_new_file_commit(&file, NULL), VIGIE_OK);
	holds("two");
	assert_int_equal(stat(path, &stat_of), 0);
	assert_int_equal(stat_of.st_mode & 0777, 0600);
}

static void test_it_cannot_be_made(void **state)
{
	struct vigie_error error = {""};

	assert_int_equal(put("old", NULL), VIGIE_OK);
	assert_int_equal(symlink(path, new_path), 0);
	assert_int_equal(put("new", &error), VIGIE_EIO);
	assert_int_equal(unlink(new_path), 0); /* what is not ours stays */
	fails(ELOOP, &error);
	holds("old");
}

/* The file system is full, as far as this process can see. */
static void test_it_cannot_be_written(void **state)
{
	struct rlimit old;
	struct rlimit none;
	struct vigie_error error = {""};

	assert_int_equal(put("old", NULL), VIGIE_OK);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = old;
	none.rlim_cur = 2;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(put("new", &error), VIGIE_EIO);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	fails(EFBIG, &error);
	holds("old");
}

static void test_it_cannot_be_moved(void **state)
{
	struct vigie_error error = {""};

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(put("new", &error), VIGIE_EIO);
	fails(EISDIR, &error);
	assert_int_equal(rmdir(path), 0);
}

static void test_it_is_given_up(void **state)
{
	struct vigie_new_file file;
	struct vigie_error error = {""};

	assert_int_equal(put("old", NULL), VIGIE_OK);
	vigie_new_file_begin(&file, "test file", path);
	file.error = ENOMEM;
	assert_int_equal(vigie_new_file_commit(&file, &error), VIGIE_EIO);
	fails(ENOMEM, &error);
	holds("old");
}

static int setup(void **state)
{
	strcpy(folder, "/tmp/vigie-new-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/file", folder);
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	return 0;
}

static int teardown(void **state)
{
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_replaces_the_old_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_it_cannot_be_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_it_cannot_be_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_it_cannot_be_moved, setup, teardown),
		cmocka_unit_test_setup_teardown(test_it_is_given_up, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

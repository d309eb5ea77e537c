/* Files with a key and its certificates: what is written is read again, and what cannot be written leaves
 * nothing. */
#include "file.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static const char chain[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
static char folder[] = "/tmp/vigie-acme-XXXXXX";
static char path[64];
static EVP_PKEY *key;

static void test_key_and_chain(void **state)
{
	EVP_PKEY *read;
	char text[2000];
	FILE *file;
	size_t length;

	assert_int_equal(acme_write(path, key, NULL, NULL), VIGIE_OK);
	read = acme_read_key(path);
	assert_int_equal(EVP_PKEY_eq(read, key), 1);
	EVP_PKEY_free(read);
	assert_int_equal(acme_write(path, key, chain, NULL), VIGIE_OK);
	file = fopen(path, "re");
	assert_non_null(file);
	length = fread(text, 1, sizeof(text), file);
	fclose(file);
	assert_true(length > sizeof(chain));
	assert_memory_equal(text, "-----BEGIN PRIVATE KEY-----\n", 28);
	assert_memory_equal(text + length - (sizeof(chain) - 1), chain, sizeof(chain) - 1);
	assert_int_equal(unlink(path), 0);
}

static void test_nothing_is_left_of_what_fails(void **state)
{
	struct vigie_error error = {""};
	char new_path[80];

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(acme_write(path, key, chain, &error), VIGIE_EIO);
	assert_non_null(strstr(error.text, "cannot write the key file '/tmp/vigie-acme-"));
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	assert_int_equal(access(new_path, F_OK), -1);
	assert_int_equal(rmdir(path), 0);
}

static int make_folder(void **state)
{
	key = EVP_EC_gen("P-256");
	if (!key || !mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/file", folder);
	return 0;
}

static int remove_folder(void **state)
{
	EVP_PKEY_free(key);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_and_chain),
		cmocka_unit_test(test_nothing_is_left_of_what_fails),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

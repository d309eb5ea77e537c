#include "vigie/buffer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_append(void **state)
{
	struct vigie_buffer buffer;

	vigie_buffer_init(&buffer, 100000);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(vigie_buffer_append(&buffer, &i, sizeof(i)), VIGIE_OK);
	assert_int_equal(buffer.length, 10000 * sizeof(unsigned));
	for (unsigned i = 0; i < 10000; i++)
		assert_memory_equal(buffer.data + i * sizeof(i), &i, sizeof(i));
	assert_int_equal(vigie_buffer_append(&buffer, NULL, 0), VIGIE_OK);
	vigie_buffer_fini(&buffer);
	assert_null(buffer.data);
	assert_int_equal(vigie_buffer_append(&buffer, "again", 5), VIGIE_OK);
	assert_memory_equal(buffer.data, "again", 5);
	vigie_buffer_fini(&buffer);
}

static void test_limit(void **state)
{
	struct vigie_buffer buffer;

	vigie_buffer_init(&buffer, 10);
	assert_int_equal(vigie_buffer_append(&buffer, "0123456", 7), VIGIE_OK);
	assert_int_equal(vigie_buffer_append(&buffer, "7890", 4), VIGIE_ENOSPC);
	assert_int_equal(buffer.length, 7);
	assert_int_equal(vigie_buffer_append(&buffer, "789", 3), VIGIE_OK);
	assert_memory_equal(buffer.data, "0123456789", 10);
	assert_int_equal(buffer.capacity, 10);
	assert_int_equal(vigie_buffer_reserve(&buffer, 0), VIGIE_OK);
	assert_int_equal(vigie_buffer_reserve(&buffer, 1), VIGIE_ENOSPC);
	assert_int_equal(vigie_buffer_reserve(&buffer, SIZE_MAX), VIGIE_ENOSPC);
	assert_memory_equal(buffer.data, "0123456789", 10);
	vigie_buffer_fini(&buffer);
}

static void test_reserve(void **state)
{
	struct vigie_buffer buffer;

	vigie_buffer_init(&buffer, SIZE_MAX);
	assert_int_equal(vigie_buffer_reserve(&buffer, 1000), VIGIE_OK);
	assert_true(buffer.capacity >= 1000);
	assert_int_equal(buffer.length, 0);
	assert_int_equal(vigie_buffer_append(&buffer, "kept", 4), VIGIE_OK);
	assert_int_equal(vigie_buffer_reserve(&buffer, SIZE_MAX / 2 + 2), VIGIE_ENOMEM);
	assert_int_equal(buffer.length, 4);
	assert_memory_equal(buffer.data, "kept", 4);
	vigie_buffer_fini(&buffer);
}

static void test_consume(void **state)
{
	struct vigie_buffer buffer;

	vigie_buffer_init(&buffer, 100);
	vigie_buffer_consume(&buffer, 5);
	assert_int_equal(buffer.length, 0);
	vigie_buffer_append(&buffer, "0123456789", 10);
	vigie_buffer_consume(&buffer, 0);
	assert_int_equal(buffer.length, 10);
	vigie_buffer_consume(&buffer, 3);
	assert_int_equal(buffer.length, 7);
	assert_memory_equal(buffer.data, "3456789", 7);
	vigie_buffer_consume(&buffer, 7);
	assert_int_equal(buffer.length, 0);
	vigie_buffer_append(&buffer, "x", 1);
	vigie_buffer_consume(&buffer, 1000);
	assert_int_equal(buffer.length, 0);
	vigie_buffer_fini(&buffer);
}

/* A file of `length` bytes, the path in `path`. */
static void write_file(char *path, size_t length)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	for (size_t i = 0; i < length; i++) {
		char byte = (char)('a' + i % 26);

		assert_int_equal(write(fd, &byte, 1), 1);
	}
	close(fd);
}

/* Reads a file of `length` bytes into a buffer of a limit. */
static enum vigie_status read_length(size_t length, size_t limit)
{
	char path[] = "/tmp/vigie-test-XXXXXX";
	struct vigie_buffer buffer;
	enum vigie_status status;

	write_file(path, length);
	vigie_buffer_init(&buffer, limit);
	status = vigie_buffer_read_file(&buffer, path);
	unlink(path);
	if (status == VIGIE_OK) {
		assert_int_equal(buffer.length, length);
		assert_int_equal(buffer.data[length], 0);
		for (size_t i = 0; i < length; i++)
			assert_int_equal(buffer.data[i], 'a' + i % 26);
	}
	assert_true(buffer.capacity <= limit);
	vigie_buffer_fini(&buffer);
	return status;
}

static void test_read_file(void **state)
{
	static const size_t lengths[] = {0, 1, 255, 256, 257, 16383, 16384, 16385, 40000};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		assert_int_equal(read_length(lengths[i], 1000000), VIGIE_OK);
		/* The zero byte takes the limit's last. */
		assert_int_equal(read_length(lengths[i], lengths[i] + 1), VIGIE_OK);
		assert_int_equal(read_length(lengths[i], lengths[i]), VIGIE_ENOSPC);
		assert_int_equal(read_length(lengths[i], lengths[i] / 2), VIGIE_ENOSPC);
	}
}

static void test_read_appends(void **state)
{
	char path[] = "/tmp/vigie-test-XXXXXX";
	struct vigie_buffer buffer;

	write_file(path, 3);
	vigie_buffer_init(&buffer, 100);
	vigie_buffer_append(&buffer, "->", 2);
	assert_int_equal(vigie_buffer_read_file(&buffer, path), VIGIE_OK);
	unlink(path);
	assert_int_equal(buffer.length, 5);
	assert_string_equal((char *)buffer.data, "->abc");
	vigie_buffer_fini(&buffer);
}

static void test_read_nothing(void **state)
{
	struct vigie_buffer buffer;

	vigie_buffer_init(&buffer, 100);
	errno = 0;
	assert_int_equal(vigie_buffer_read_file(&buffer, "/nonexistent/file"), VIGIE_EIO);
	assert_int_equal(errno, ENOENT);
	errno = 0;
	assert_int_equal(vigie_buffer_read_file(&buffer, "/"), VIGIE_EIO);
	assert_int_equal(errno, EISDIR);
	vigie_buffer_fini(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append),       cmocka_unit_test(test_limit),
		cmocka_unit_test(test_reserve),      cmocka_unit_test(test_consume),
		cmocka_unit_test(test_read_file),    cmocka_unit_test(test_read_appends),
		cmocka_unit_test(test_read_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every allocation in turn fails: the parser says so and nothing else happens. The linker puts the functions
 * below in place of the real ones. */
#include "dump.h"

#include <stdbool.h>

#include "vigie/buffer.h"

static size_t until_failure;
static bool failed;

static bool fails(void)
{
	if (until_failure-- > 0)
		return false;
	failed = true;
	return true;
}

void *__real_vigie_arena_alloc(struct vigie_arena *arena, size_t size);
void *__wrap_vigie_arena_alloc(struct vigie_arena *arena, size_t size);
void *__wrap_vigie_arena_alloc(struct vigie_arena *arena, size_t size)
{
	return fails() ? NULL : __real_vigie_arena_alloc(arena, size);
}

char *__real_vigie_arena_strdup(struct vigie_arena *arena, const char *text);
char *__wrap_vigie_arena_strdup(struct vigie_arena *arena, const char *text);
char *__wrap_vigie_arena_strdup(struct vigie_arena *arena, const char *text)
{
	return fails() ? NULL : __real_vigie_arena_strdup(arena, text);
}

char *__real_vigie_arena_strndup(struct vigie_arena *arena, const char *text, size_t length);
char *__wrap_vigie_arena_strndup(struct vigie_arena *arena, const char *text, size_t length);
char *__wrap_vigie_arena_strndup(struct vigie_arena *arena, const char *text, size_t length)
{
	return fails() ? NULL : __real_vigie_arena_strndup(arena, text, length);
}

enum vigie_status __real_vigie_buffer_append(struct vigie_buffer *buffer, const void *data, size_t length);
enum vigie_status __wrap_vigie_buffer_append(struct vigie_buffer *buffer, const void *data, size_t length);
enum vigie_status __wrap_vigie_buffer_append(struct vigie_buffer *buffer, const void *data, size_t length)
{
	return fails() ? VIGIE_ENOMEM : __real_vigie_buffer_append(buffer, data, length);
}

enum vigie_status __real_vigie_buffer_read_file(struct vigie_buffer *buffer, const char *path);
enum vigie_status __wrap_vigie_buffer_read_file(struct vigie_buffer *buffer, const char *path);
enum vigie_status __wrap_vigie_buffer_read_file(struct vigie_buffer *buffer, const char *path)
{
	return fails() ? VIGIE_ENOMEM : __real_vigie_buffer_read_file(buffer, path);
}

static void test_every_allocation(void **state)
{
	enum vigie_status status = VIGIE_ENOMEM;
	size_t count = 0;

	setenv("A", "a", 1);
	file_write("one.conf", "x \"y\"");
	file_write("Corefile",
		   "(s) {\n import one.conf\n}\n{$A}.org, 10.0.0.0/30 {\n import s\n import *.conf\n}\n");
	for (;; count++) {
		struct vigie_arena *arena = vigie_arena_new();
		struct vigie_corefile corefile = {0};
		struct vigie_error error = {""};

		failed = false;
		until_failure = count;
		status = vigie_corefile_read(&corefile, arena, "Corefile", 53, &error);
		vigie_arena_free(arena);
		if (!failed)
			break;
		assert_int_equal(status, VIGIE_ENOMEM);
		assert_non_null(strstr(error.text, ": out of memory"));
		assert_int_equal(corefile.block_count, 0);
	}
	assert_int_equal(status, VIGIE_OK);
	assert_true(count > 30); /* the replacements are in place */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_allocation, folder_enter, folder_leave),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}

#include "vigie/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum {
	BLOCK = 8192 /* what src/base/arena.c takes at once */
};

static int make(void **state)
{
	*state = vigie_arena_new();
	return *state ? 0 : -1;
}

static int drop(void **state)
{
	vigie_arena_free(*state);
	return 0;
}

static void expect_zeroes(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		assert_int_equal(bytes[i], 0);
}

static void test_pieces(void **state)
{
	uint8_t *pieces[300];

	for (size_t i = 0; i < 300; i++) {
		pieces[i] = vigie_arena_alloc(*state, i);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
		expect_zeroes(pieces[i], i);
		memset(pieces[i], (int)i, i);
	}
	for (size_t i = 0; i < 300; i++) {
		for (size_t j = 0; j < i; j++)
			assert_int_equal(pieces[i][j], (uint8_t)i);
	}
}

static void test_block_edges(void **state)
{
	static const size_t sizes[] = {BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 1};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint8_t *piece = vigie_arena_alloc(*state, sizes[i]);

		assert_non_null(piece);
		expect_zeroes(piece, sizes[i]);
		memset(piece, 0xff, sizes[i]);
	}
}

static void test_impossible_sizes(void **state)
{
	assert_null(vigie_arena_alloc(*state, SIZE_MAX));
	assert_null(vigie_arena_alloc(*state, SIZE_MAX - 15));
	assert_null(vigie_arena_alloc(*state, SIZE_MAX / 2));
	assert_null(vigie_arena_strndup(*state, "", SIZE_MAX));
	assert_non_null(vigie_arena_alloc(*state, 8)); /* and it still works */
}

static void test_reset(void **state)
{
	uint8_t *first = vigie_arena_alloc(*state, 100);

	memset(first, 0xff, 100);
	assert_non_null(vigie_arena_alloc(*state, 5 * BLOCK));
	vigie_arena_reset(*state);
	assert_ptr_equal(vigie_arena_alloc(*state, 100), first);
	expect_zeroes(first, 100);
	assert_non_null(vigie_arena_alloc(*state, BLOCK));
}

static void test_copies(void **state)
{
	char text[] = "text";
	char *copy = vigie_arena_strdup(*state, text);

	text[0] = 'n';
	assert_string_equal(copy, "text");
	assert_string_equal(vigie_arena_strdup(*state, ""), "");
	assert_string_equal(vigie_arena_strndup(*state, "longer", 4), "long");
	assert_memory_equal(vigie_arena_strndup(*state, "a\0b", 3), "a\0b", 4);
}

static void test_free_nothing(void **state)
{
	vigie_arena_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pieces, make, drop),
		cmocka_unit_test_setup_teardown(test_block_edges, make, drop),
		cmocka_unit_test_setup_teardown(test_impossible_sizes, make, drop),
		cmocka_unit_test_setup_teardown(test_reset, make, drop),
		cmocka_unit_test_setup_teardown(test_copies, make, drop),
		cmocka_unit_test(test_free_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What outlives a configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vigie/keep.h"

static int released;

static void release(void *object)
{
	released += *(int *)object;
}

static void test_sharing(void **state)
{
	struct vigie_keep *keep = vigie_keep_new();
	int one = 1;
	int ten = 10;

	released = 0;
	assert_null(vigie_keep_get(keep, "cache", "a"));
	assert_int_equal(vigie_keep_put(keep, "cache", "a", &one, release), VIGIE_OK);
	assert_int_equal(vigie_keep_put(keep, "kubernetes", "a", &ten, release), VIGIE_OK);
	assert_null(vigie_keep_get(keep, "cache", "b"));
	assert_ptr_equal(vigie_keep_get(keep, "cache", "a"), &one);
	assert_ptr_equal(vigie_keep_get(keep, "kubernetes", "a"), &ten);
	vigie_keep_release(keep, &one);
	assert_int_equal(released, 0);
	vigie_keep_release(keep, &one);
	assert_int_equal(released, 1);
	assert_null(vigie_keep_get(keep, "cache", "a"));
	vigie_keep_release(keep, &ten);
	vigie_keep_release(keep, &ten);
	assert_int_equal(released, 11);
	vigie_keep_release(keep, &ten); /* nobody's any more: nothing happens */
	assert_int_equal(released, 11);
	vigie_keep_free(keep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_sharing)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

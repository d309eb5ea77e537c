#include "vigie/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint32_t *script;

static void scripted(void *out, size_t length)
{
	assert_int_equal(length, sizeof(*script));
	memcpy(out, script++, length);
}

static int restore(void **state)
{
	vigie_random_set(NULL);
	return 0;
}

static void test_kernel(void **state)
{
	uint8_t a[32] = {0};
	uint8_t b[32] = {0};

	vigie_random_bytes(a, sizeof(a));
	vigie_random_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	vigie_random_bytes(a, 0);
}

static int by_value(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(uint64_t));
}

static void *draw(void *out)
{
	for (int i = 0; i < 1000; i++)
		vigie_random_bytes((uint64_t *)out + i, sizeof(uint64_t));
	return NULL;
}

/* What comes out of a thread's stock never comes again, there or in another thread. */
static void test_stocks(void **state)
{
	static uint64_t values[2][1000];
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, draw, values[1]), 0);
	draw(values[0]);
	pthread_join(thread, NULL);
	qsort(values, 2000, sizeof(uint64_t), by_value);
	for (int i = 1; i < 2000; i++)
		assert_true((&values[0][0])[i] != (&values[0][0])[i - 1]);
}

static void test_below(void **state)
{
	unsigned seen[6] = {0};

	assert_int_equal(vigie_random_below(0), 0);
	assert_int_equal(vigie_random_below(1), 0);
	for (unsigned i = 0; i < 6000; i++) {
		uint32_t value = vigie_random_below(6);

		assert_true(value < 6);
		seen[value]++;
	}
	for (unsigned i = 0; i < 6; i++)
		assert_in_range(seen[i], 700, 1300); /* ten standard deviations around 1,000 */
}

/* 2^32 is 4 modulo 6: the four lowest numbers are drawn again, or 0 to 3 would come more often. */
static void test_bias(void **state)
{
	static const uint32_t numbers[] = {0, 3, 4, UINT32_MAX};

	script = numbers;
	vigie_random_set(scripted);
	assert_int_equal(vigie_random_below(6), 4);
	assert_int_equal(vigie_random_below(6), UINT32_MAX % 6);
	assert_ptr_equal(script, numbers + 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_stocks),
		cmocka_unit_test(test_below),
		cmocka_unit_test_teardown(test_bias, restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

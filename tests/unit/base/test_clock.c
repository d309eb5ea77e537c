#include "vigie/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static uint64_t year_later(void)
{
	return 365ULL * 24 * 3600 * 1000;
}

static int64_t long_ago(void)
{
	return 42;
}

static void test_system(void **state)
{
	struct timespec before;
	struct timespec after;
	uint64_t now;
	int64_t wall;

	clock_gettime(CLOCK_BOOTTIME, &before);
	now = vigie_clock_ms();
	clock_gettime(CLOCK_BOOTTIME, &after);
	assert_true(now >= (uint64_t)before.tv_sec * 1000 + (uint64_t)before.tv_nsec / 1000000);
	assert_true(now <= (uint64_t)after.tv_sec * 1000 + (uint64_t)after.tv_nsec / 1000000);
	wall = vigie_clock_wall();
	assert_true(wall <= time(NULL) && wall >= time(NULL) - 60);
}

static void test_replaced(void **state)
{
	vigie_clock_set(year_later, long_ago);
	assert_int_equal(vigie_clock_ms(), year_later());
	assert_int_equal(vigie_clock_wall(), 42);
	vigie_clock_set(year_later, NULL);
	assert_int_equal(vigie_clock_ms(), year_later());
	assert_true(vigie_clock_wall() > 1000000000);
	vigie_clock_set(NULL, NULL);
	assert_int_not_equal(vigie_clock_ms(), year_later());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_system),
		cmocka_unit_test(test_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

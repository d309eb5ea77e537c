/* Connections to upstreams as time goes by: which takes a query, and when it has had its time. */
#include "carrier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vigie/clock.h"

static uint64_t now_ms;
static struct vigie_upstreams *group;
static struct exchange exchange;
static struct attempt *attempt = &exchange.attempts[0];
static struct carriers list;
static struct carrier carrier;

static uint64_t simulated_ms(void)
{
	return now_ms;
}

static int setup(void **state)
{
	now_ms = 1000000;
	vigie_clock_set(simulated_ms, NULL);
	return 0;
}

static int teardown(void **state)
{
	vigie_clock_set(NULL, NULL);
	return 0;
}

/* A connection that is open, of an upstream with these options. */
static void begin(uint64_t max_age, uint64_t expire, unsigned max_idle)
{
	struct vigie_forward_options options;
	struct vigie_target target;

	vigie_forward_options_init(&options);
	options.max_age = max_age;
	options.expire = expire;
	options.max_idle = max_idle;
	assert_int_equal(vigie_target_from_text(&target, "192.0.2.53"), VIGIE_OK);
	group = vigie_upstreams_new(&options);
	assert_int_equal(vigie_upstreams_set(group, &target, 1), VIGIE_OK);
	memset(&exchange, 0, sizeof(exchange));
	exchange.set = upstream_set_get(group);
	attempt->exchange = &exchange;
	attempt->upstream = exchange.set->list[0];
	carrier_init(&carrier, &list, attempt);
	carrier.open = true;
}

static void end(void)
{
	carrier_close(&carrier);
	carrier_fini(&carrier);
	upstream_set_release(exchange.set);
	vigie_upstreams_free(group);
}

/* Looks at it each second, while it is in use; how many milliseconds it took new queries for. */
static uint64_t age_reached(uint64_t most_ms)
{
	uint64_t start_ms = now_ms;
	struct carried carried;
	bool alive;

	for (; now_ms - start_ms < most_ms; now_ms += 1000) {
		enum carrier_state state = carrier_tick(&carrier);

		if (!carrier_pick(&list, attempt, false, &alive)) {
			assert_int_equal(state, CARRIER_DONE);
			break;
		}
		assert_int_equal(state, CARRIER_GOOD);
		carrier_carry(&carrier, &carried, attempt);
		carrier_heard(&carrier);
		carrier_drop(&carrier);
	}
	return now_ms - start_ms;
}

static void test_age(void **state)
{
	for (int i = 0; i < 100; i++) {
		uint64_t age;

		begin(60000, 10000, 0);
		age = age_reached(100000);
		assert_true(age >= 45000 && age <= 76000);
		end();
	}
}

/* As CoreDNS has it. */
static void test_age_0_is_none(void **state)
{
	begin(0, 10000, 0);
	assert_int_equal(age_reached(100000000), 100000000);
	end();
}

/* Who waits for a reply is not cut off. */
static void test_the_old_end_what_they_began(void **state)
{
	struct carried carried;

	begin(60000, 10000, 0);
	carrier_carry(&carrier, &carried, attempt);
	now_ms += 80000;
	carrier_heard(&carrier);
	assert_int_equal(carrier_tick(&carrier), CARRIER_GOOD);
	carrier_drop(&carrier);
	assert_int_equal(carrier_tick(&carrier), CARRIER_DONE);
	end();
}

static void test_idle(void **state)
{
	begin(0, 10000, 0);
	now_ms += 9999;
	assert_int_equal(carrier_tick(&carrier), CARRIER_GOOD);
	now_ms++;
	assert_int_equal(carrier_tick(&carrier), CARRIER_DONE);
	end();
}

static void test_too_many_idle(void **state)
{
	struct carrier other;
	struct carried carried;

	begin(0, 10000, 1);
	assert_int_equal(carrier_tick(&carrier), CARRIER_GOOD);
	carrier_init(&other, &list, attempt);
	assert_int_equal(carrier_tick(&carrier), CARRIER_DONE);
	carrier_carry(&other, &carried, attempt);
	assert_int_equal(carrier_tick(&carrier), CARRIER_GOOD);
	carrier_drop(&other);
	carrier_close(&other);
	carrier_fini(&other);
	end();
}

static void test_silence(void **state)
{
	struct carried carried;

	begin(0, 10000, 0);
	now_ms += 5000;
	carrier_carry(&carrier, &carried, attempt);
	now_ms += CARRIER_SILENCE_MS - 1;
	assert_int_equal(carrier_tick(&carrier), CARRIER_GOOD);
	now_ms++;
	assert_int_equal(carrier_tick(&carrier), CARRIER_SILENT);
	carrier_heard(&carrier);
	assert_int_equal(carrier_tick(&carrier), CARRIER_GOOD);
	carrier_drop(&carrier);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_age, setup, teardown),
		cmocka_unit_test_setup_teardown(test_age_0_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_old_end_what_they_began, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_idle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
	};

	return cmocka_run_group_tests_name("carrier", tests, NULL, NULL);
}

/* What a follower takes over of the one before a reload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <urcu-qsbr.h>

#include "follower.h"

enum { ZONES = 20000 };

static atomic_bool done;

/* example.org. with a SOA of this serial, and nothing else. */
static struct vigie_zone *make_zone(uint8_t serial)
{
	uint8_t soa[2 + 20] = {[5] = serial, [21] = 60};
	struct vigie_zone_builder *builder;
	struct vigie_name origin;
	struct vigie_error error;

	assert_int_equal(vigie_name_from_text(&origin, "example.org."), VIGIE_OK);
	builder = vigie_zone_builder_new(&origin);
	assert_non_null(builder);
	assert_int_equal(vigie_zone_builder_add(builder, origin.bytes, VIGIE_TYPE_SOA, 60, soa, sizeof(soa)),
			 VIGIE_OK);
	return vigie_zone_builder_finish(builder, &error);
}

/* A thread has served the next zone already, and the main thread has not heard of it: the zone that is there
 * is taken, with its own serial. */
static void test_a_zone_that_is_just_replaced(void **state)
{
	static struct compiled *const under_way = (struct compiled *)&under_way;
	struct source source = {0};
	struct follower from = {.source = &source,
				.zone = {.zone = make_zone(2), .expired = true},
				.has_zone = true,
				.soa = {.serial = 1},
				.expire_ms = 7,
				.compiled = under_way};
	struct follower follower = {.source = &source};

	follower_adopt(&follower, &from);
	assert_true(follower.has_zone);
	assert_ptr_equal(follower.zone.zone, from.zone.zone);
	assert_true(follower.zone.expired);
	assert_int_equal(follower.soa.serial, 2);
	assert_int_equal(follower.expire_ms, 7);
	assert_null(follower.compiled);
	vigie_zone_unref(from.zone.zone);
	vigie_zone_soa(follower.zone.zone, &follower.soa); /* it is held twice */
	vigie_zone_unref(follower.zone.zone);
}

/* The first one: when it expires is not known before the main thread has heard of it. */
static void test_a_zone_that_just_comes(void **state)
{
	struct source source = {0};
	struct follower from = {.source = &source, .zone = {.zone = make_zone(1)}};
	struct follower follower = {.source = &source};

	follower_adopt(&follower, &from);
	assert_false(follower.has_zone);
	assert_null(follower.zone.zone);
	vigie_zone_unref(from.zone.zone);
}

static void *replace(void *from)
{
	for (unsigned i = 0; i < ZONES; i++)
		static_zone_publish(&((struct follower *)from)->zone, make_zone((uint8_t)i));
	done = true;
	return NULL;
}

/* While another thread replaces the zone, and frees the one before: for sanitizers to see. */
static void test_a_zone_that_is_replaced_meanwhile(void **state)
{
	struct source source = {0};
	struct follower from = {.source = &source, .zone = {.zone = make_zone(1)}, .has_zone = true};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, replace, &from), 0);
	while (!done) {
		struct follower follower = {.source = &source};

		follower_adopt(&follower, &from);
		assert_true(follower.has_zone);
		assert_string_equal(vigie_zone_origin(follower.zone.zone)->bytes, "\7example\3org");
		vigie_zone_unref(follower.zone.zone);
	}
	pthread_join(thread, NULL);
	vigie_zone_unref(from.zone.zone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_zone_that_is_just_replaced),
		cmocka_unit_test(test_a_zone_that_just_comes),
		cmocka_unit_test(test_a_zone_that_is_replaced_meanwhile),
	};
	int failed;

	rcu_register_thread();
	rcu_thread_offline(); /* as the main thread is in its loop */
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rcu_unregister_thread();
	return failed;
}

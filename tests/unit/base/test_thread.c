/* Ranks of threads. */
#include "vigie/thread.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

struct seen {
	enum vigie_thread_rank rank;
	const char *name;
	int nice;
	int policy;
	char is_named[16];
};

static void *see(void *argument)
{
	struct seen *seen = argument;

	vigie_thread_set(seen->name, seen->rank);
	seen->nice = getpriority(PRIO_PROCESS, 0);
	seen->policy = sched_getscheduler(0);
	pthread_getname_np(pthread_self(), seen->is_named, sizeof(seen->is_named));
	return NULL;
}

static struct seen run(const char *name, enum vigie_thread_rank rank)
{
	struct seen seen = {.rank = rank, .name = name};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, see, &seen), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return seen;
}

static void test_who_answers_packets_comes_first(void **state)
{
	int began = getpriority(PRIO_PROCESS, 0);
	struct seen packets = run("worker", VIGIE_THREAD_PACKETS);
	struct seen control = run(NULL, VIGIE_THREAD_CONTROL);
	struct seen background = run("log", VIGIE_THREAD_BACKGROUND);

	assert_int_equal(packets.nice, began);
	assert_int_equal(packets.policy, SCHED_OTHER);
	assert_string_equal(packets.is_named, "worker");
	assert_in_range(control.nice, began + 1, background.nice - 1);
	assert_int_equal(control.policy, SCHED_BATCH);
	assert_int_equal(background.policy, SCHED_BATCH);
	assert_string_equal(background.is_named, "log");
	assert_int_equal(getpriority(PRIO_PROCESS, 0), began); /* others keep theirs */
}

/* A thread of the pool is given its rank for each job: it must not sink with each. */
static void *see_twice(void *argument)
{
	see(argument);
	return see(argument);
}

static void test_a_rank_given_twice_is_one_rank(void **state)
{
	struct seen once = run(NULL, VIGIE_THREAD_BACKGROUND);
	struct seen twice = {.rank = VIGIE_THREAD_BACKGROUND};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, see_twice, &twice), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(twice.nice, once.nice);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_answers_packets_comes_first),
		cmocka_unit_test(test_a_rank_given_twice_is_one_rank),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

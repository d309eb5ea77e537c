#include "vigie/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>

#include <cmocka.h>

#include "vigie/clock.h"

enum {
	LINE_BYTES = 2048 /* the longest line, with its end */
};

static int ends[2];
static int saved;

/* Standard output becomes a pipe: what vigie_log writes is read back with `expect`. */
static int capture(void **state)
{
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	if (saved < 0 || pipe(ends))
		return -1;
	return dup2(ends[1], STDOUT_FILENO) == STDOUT_FILENO ? 0 : -1;
}

static int release(void **state)
{
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(ends[0]);
	close(ends[1]);
	vigie_log_set_level(VIGIE_LOG_INFO);
	return 0;
}

/* What was written since the last call. A mark is written behind it, so that the read never waits. */
static const char *written(void)
{
	static char text[4 * LINE_BYTES];
	ssize_t got;

	assert_int_equal(write(STDOUT_FILENO, "|", 1), 1);
	got = read(ends[0], text, sizeof(text) - 1);
	assert_true(got > 0);
	text[got - 1] = 0;
	return text;
}

static void test_shape(void **state)
{
	vigie_log(VIGIE_LOG_INFO, "kubernetes", "watching %d kinds", 3);
	assert_string_equal(written(), "[INFO] plugin/kubernetes: watching 3 kinds\n");
	vigie_log(VIGIE_LOG_WARNING, NULL, "late");
	assert_string_equal(written(), "[WARNING] late\n");
	vigie_log(VIGIE_LOG_ERROR, NULL, "%s", "100%");
	assert_string_equal(written(), "[ERROR] 100%\n");
	vigie_log(VIGIE_LOG_FATAL, NULL, "over");
	assert_string_equal(written(), "[FATAL] over\n");
}

static uint64_t no_ms(void)
{
	return 0;
}

static int64_t first_day(void)
{
	return 86399;
}

static void test_json(void **state)
{
	char text[2 * LINE_BYTES];
	const char *line;

	vigie_log_set_json(true);
	vigie_clock_set(no_ms, first_day);
	vigie_log(VIGIE_LOG_WARNING, "errors", "a \"b\\c\" \n \xc3\xa9");
	assert_string_equal(written(), "{\"time\":\"1970-01-01T23:59:59Z\",\"level\":\"warning\",\"plugin\":"
				       "\"errors\",\"msg\":\"a \\\"b\\\\c\\\" ? \\u00c3\\u00a9\"}\n");
	vigie_log_plain("%s:%d", ".", 53);
	assert_string_equal(written(),
			    "{\"time\":\"1970-01-01T23:59:59Z\",\"level\":\"info\",\"msg\":\".:53\"}\n");
	memset(text, 0xff, sizeof(text) - 1); /* a line that is cut is an object, too */
	text[sizeof(text) - 1] = 0;
	vigie_log(VIGIE_LOG_INFO, NULL, "%s", text);
	line = written();
	assert_in_range(strlen(line), LINE_BYTES - 8, LINE_BYTES);
	assert_string_equal(line + strlen(line) - 9, "\\u00ff\"}\n");
	vigie_clock_set(NULL, NULL);
	vigie_log_set_json(false);
	vigie_log_plain("%s:%d", ".", 53);
	assert_string_equal(written(), ".:53\n");
}

static void test_level(void **state)
{
	vigie_log(VIGIE_LOG_DEBUG, NULL, "unseen");
	assert_string_equal(written(), "");
	vigie_log_set_level(VIGIE_LOG_DEBUG);
	vigie_log(VIGIE_LOG_DEBUG, "forward", "seen");
	assert_string_equal(written(), "[DEBUG] plugin/forward: seen\n");
	vigie_log_set_level(VIGIE_LOG_ERROR);
	vigie_log(VIGIE_LOG_WARNING, NULL, "unseen");
	assert_string_equal(written(), "");
}

/* A name from the network must not begin a line of its own, nor move a terminal's cursor. */
static void test_control_characters(void **state)
{
	vigie_log(VIGIE_LOG_ERROR, "errors", "2 %s A: timeout", "a\n[INFO] forged\r\x1b[2J\t\x7f\x01.org.");
	assert_string_equal(written(), "[ERROR] plugin/errors: 2 a?[INFO] forged??[2J???.org. A: timeout\n");
	vigie_log(VIGIE_LOG_INFO, NULL, "f\xc3\xbcnf"); /* UTF-8 stays */
	assert_string_equal(written(), "[INFO] f\xc3\xbcnf\n");
}

static void expect_length(size_t text_length, size_t line_length)
{
	char text[2 * LINE_BYTES];
	const char *line;

	memset(text, 'x', text_length);
	text[text_length] = 0;
	vigie_log(VIGIE_LOG_INFO, NULL, "%s", text);
	line = written();
	assert_int_equal(strlen(line), line_length);
	assert_memory_equal(line, "[INFO] x", 8);
	assert_memory_equal(line + line_length - 2, "x\n", 2);
}

static void test_long_lines(void **state)
{
	size_t most = LINE_BYTES - strlen("[INFO] \n");

	expect_length(most - 1, LINE_BYTES - 1);
	expect_length(most, LINE_BYTES);
	expect_length(most + 1, LINE_BYTES);
	expect_length(2 * LINE_BYTES - 1, LINE_BYTES);
}

/* With the writer: nobody waits for a pipe that is full, what is lost is counted and told, nothing else is.
 */
enum { THREADS = 4, LINES = 20000 };

static void *log_many(void *argument)
{
	for (int i = 0; i < LINES; i++)
		vigie_log(VIGIE_LOG_INFO, NULL, "thread %d line %d", *(int *)argument, i);
	return NULL;
}

static void test_blocked(void **state)
{
	static char text[1 << 20];
	static const char filler[4096];
	uint64_t before = vigie_log_lost();
	int numbers[THREADS];
	pthread_t threads[THREADS];
	uint64_t seen = 0;
	uint64_t told = 0;
	ssize_t got;

	/* The pipe is full, and its reader is asleep. */
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	while (write(ends[1], filler, sizeof(filler)) > 0)
		continue;
	assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
	assert_int_equal(vigie_log_start(), VIGIE_OK);
	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, log_many, &numbers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_true(vigie_log_lost() > before);

	/* It wakes: lines are whole and in each thread's order. */
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	for (size_t kept = 0; seen + told < THREADS * LINES;) {
		struct pollfd readable = {.fd = ends[0], .events = POLLIN};
		char *line = text;

		assert_int_equal(poll(&readable, 1, 20000), 1);
		got = read(ends[0], text + kept, sizeof(text) - 1 - kept);
		assert_true(got > 0);
		text[kept + (size_t)got] = 0;
		for (size_t i = 0; i < kept + (size_t)got; i++)
			if (text[i] == 0)
				text[i] = '\n'; /* the filler */
		for (char *end = strchr(line, '\n'); end; line = end + 1, end = strchr(line, '\n')) {
			unsigned long long lines;

			*end = 0;
			seen += strncmp(line, "[INFO] thread ", 14) == 0;
			if (sscanf(line, "[WARNING] %llu log lines were lost", &lines) == 1)
				told += lines;
			else
				assert_true(line[0] == 0 || strncmp(line, "[INFO] thread ", 14) == 0);
		}
		kept = strlen(line);
		memmove(text, line, kept + 1);
	}
	assert_int_equal(told, vigie_log_lost() - before);
	assert_int_equal(seen + told, THREADS * LINES);
	vigie_log_stop();
}

/* A disk without room: lines are lost and counted, and when there is room again the next one stands on a line
 * of its own. */
static void test_full(void **state)
{
	uint64_t before = vigie_log_lost();
	int full = open("/dev/full", O_WRONLY);

	assert_true(full >= 0);
	assert_int_equal(dup2(full, STDOUT_FILENO), STDOUT_FILENO);
	close(full);
	assert_int_equal(vigie_log_start(), VIGIE_OK);
	vigie_log(VIGIE_LOG_INFO, NULL, "one");
	vigie_log(VIGIE_LOG_INFO, NULL, "two");
	for (int i = 0; i < 20000 && vigie_log_lost() < before + 2; i++)
		poll(NULL, 0, 1);
	assert_int_equal(vigie_log_lost(), before + 2);
	assert_int_equal(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
	vigie_log(VIGIE_LOG_INFO, NULL, "three");
	vigie_log_stop();
	assert_string_equal(written(),
			    "\n[INFO] three\n[WARNING] 2 log lines were lost: standard output is full "
			    "or too slow\n");
}

/* What waits is written at the stop; a reader that never comes holds it up for a bounded time only. */
static void test_stop(void **state)
{
	assert_int_equal(vigie_log_start(), VIGIE_OK);
	for (int i = 0; i < 10; i++)
		vigie_log(VIGIE_LOG_INFO, NULL, "%d", i);
	vigie_log_stop();
	assert_string_equal(written(),
			    "[INFO] 0\n[INFO] 1\n[INFO] 2\n[INFO] 3\n[INFO] 4\n[INFO] 5\n[INFO] 6\n[INFO] "
			    "7\n[INFO] 8\n[INFO] 9\n");
	vigie_log(VIGIE_LOG_INFO, NULL, "after");
	assert_string_equal(written(), "[INFO] after\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_shape, capture, release),
		cmocka_unit_test_setup_teardown(test_json, capture, release),
		cmocka_unit_test_setup_teardown(test_level, capture, release),
		cmocka_unit_test_setup_teardown(test_control_characters, capture, release),
		cmocka_unit_test_setup_teardown(test_long_lines, capture, release),
		cmocka_unit_test_setup_teardown(test_blocked, capture, release),
		cmocka_unit_test_setup_teardown(test_full, capture, release),
		cmocka_unit_test_setup_teardown(test_stop, capture, release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

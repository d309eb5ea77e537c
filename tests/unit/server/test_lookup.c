/* Look-ups that directives make while they serve a query. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scene.h"

/* org looks up in net, net in com; the last letters of the chains are 'b', 'd' and 'f'. */
static int setup(void **state)
{
	int failed = scene_setup(state);

	scene_block("org.", "ab");
	scene_block("net.", "cd");
	scene_block("com.", "ef");
	parts[1].act = look_up;
	vigie_name_from_text(&parts[1].target, "x.net.");
	parts[3].act = answer_mark;
	vigie_name_from_text(&parts[3].target, "x.com.");
	parts[5].act = answer_mark;
	return failed;
}

static void test_at_once(void **state)
{
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b c d <c found <a");
	assert_string_equal(sent_marks(), "bd"); /* what was written before is still there */
	assert_memory_equal(sent, "\x12\x34\x81\0\0\1\0\2\0\0\0\0\7example\3org", 25);
	assert_int_equal(parts[2].depth, 1);
	assert_int_equal(parts[2].channel, VIGIE_CHANNEL_INTERNAL);
	assert_int_equal(worker->suspended, 0);
}

/* A look-up asks as the client did: with EDNS, DO and RD. */
static void test_asks_alike(void **state)
{
	assert_true(scene_ask("example.org.", ""));
	assert_false(parts[2].edns);
	assert_int_equal(parts[2].flags, VIGIE_FLAG_RD);
	assert_true(scene_ask("example.org.", "edns tcp"));
	assert_true(parts[2].edns);
	assert_string_equal(sent_marks(), "bd");
	assert_int_equal(sent[11], 1); /* one OPT, ours */
}

static void test_nobody_there(void **state)
{
	vigie_name_from_text(&parts[1].target, "x.nowhere.");
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b found <a");
	assert_int_equal(sent_rcode(), VIGIE_RCODE_REFUSED);
	vigie_name_from_text(&parts[1].target, "x.net.");
	parts[3].act = answer_next;
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b c d <d <c found <a");
	assert_int_equal(sent_rcode(), VIGIE_RCODE_REFUSED);
	parts[3].act = answer_drop;
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b c d nothing <a");
	assert_int_equal(sent_rcode(), VIGIE_RCODE_SERVFAIL);
}

static void test_suspended(void **state)
{
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", "tcp"));
	assert_string_equal(scene_notes(), "a b c d");
	assert_int_equal(worker->suspended, 2);
	assert_int_equal(connection_pending, 1); /* one query of the client's */
	scene_resume(&parts[3], answer_mark);
	assert_string_equal(scene_notes(), "<c found <a tcp");
	assert_string_equal(sent_marks(), "bd");
	assert_memory_equal(sent, "\x12\x34\x81\0\0\1\0\2\0\0\0\0\7example\3org", 25);
	assert_int_equal(worker->suspended, 0);
	assert_int_equal(connection_pending, 0);
}

static void test_suspended_twice(void **state)
{
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", ""));
	scene_resume(&parts[3], put_off);
	scene_resume(&parts[3], put_off);
	assert_int_equal(worker->suspended, 2);
	scene_notes();
	scene_resume(&parts[3], answer_mark);
	assert_string_equal(scene_notes(), "<c found <a udp");
	assert_string_equal(sent_marks(), "bd");
	assert_int_equal(worker->suspended, 0);
}

static void test_suspended_then_nothing(void **state)
{
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", ""));
	scene_notes();
	scene_resume(&parts[3], answer_drop);
	assert_string_equal(scene_notes(), "nothing <a udp");
	assert_int_equal(sent_rcode(), VIGIE_RCODE_SERVFAIL);
	assert_string_equal(sent_marks(), "");
	assert_int_equal(worker->suspended, 0);
}

/* A look-up that is taken back, or that was not possible to suspend in the first place. */
static void test_cancelled(void **state)
{
	parts[3].act = take_back;
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b c d <c found <a");
	assert_string_equal(sent_marks(), "bd");
	assert_int_equal(worker->suspended, 0);
}

/* The query itself was suspended before it looked another name up. */
static void test_after_suspension(void **state)
{
	parts[1].act = put_off;
	assert_false(scene_ask("example.org.", "tcp"));
	scene_resume(&parts[1], look_up);
	assert_string_equal(scene_notes(), "a b c d <c found <a tcp");
	assert_string_equal(sent_marks(), "bd");
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", "tcp"));
	scene_resume(&parts[1], look_up);
	assert_int_equal(worker->suspended, 2);
	assert_int_equal(connection_pending, 1);
	scene_notes();
	scene_resume(&parts[3], answer_mark);
	assert_string_equal(scene_notes(), "<c found <a tcp");
	assert_string_equal(sent_marks(), "bd");
	assert_int_equal(worker->suspended, 0);
	assert_int_equal(connection_pending, 0);
}

static void test_within_look_up(void **state)
{
	parts[3].act = look_up;
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b c d e f <e found <c found <a");
	assert_string_equal(sent_marks(), "bdf");
	assert_int_equal(parts[4].depth, 2);
	parts[5].act = put_off;
	assert_false(scene_ask("example.org.", ""));
	assert_int_equal(worker->suspended, 3);
	scene_notes();
	scene_resume(&parts[5], answer_mark);
	assert_string_equal(scene_notes(), "<e found <c found <a udp");
	assert_string_equal(sent_marks(), "bdf");
	assert_int_equal(worker->suspended, 0);
	parts[3].act = put_off; /* suspended, then looks up, which is suspended */
	assert_false(scene_ask("example.org.", ""));
	scene_resume(&parts[3], look_up);
	assert_int_equal(worker->suspended, 3);
	scene_notes();
	scene_resume(&parts[5], answer_mark);
	assert_string_equal(scene_notes(), "<e found <c found <a udp");
	assert_string_equal(sent_marks(), "bdf");
	assert_int_equal(worker->suspended, 0);
}

/* When the first look-up has ended, its end looks another name up. */
static enum vigie_verdict look_further(struct part *part, struct vigie_request *request)
{
	part->done = NULL;
	vigie_name_from_text(&part->target, "x.com.");
	return look_up(part, request);
}

static void look_twice(act *first, act *second)
{
	parts[1].done = look_further;
	vigie_name_from_text(&parts[1].target, "x.net.");
	parts[3].act = first;
	parts[5].act = second;
	scene_ask("example.org.", "");
	if (first == put_off)
		scene_resume(&parts[3], answer_mark);
	if (second == put_off)
		scene_resume(&parts[5], answer_mark);
	assert_string_equal(sent_marks(), "bdbf");
	assert_int_equal(worker->suspended, 0);
}

static void test_one_after_another(void **state)
{
	look_twice(answer_mark, answer_mark);
	assert_string_equal(scene_notes(), "a b c d <c found e f <e found <a");
	look_twice(put_off, answer_mark);
	assert_string_equal(scene_notes(), "a b c d <c found e f <e found <a udp");
	look_twice(answer_mark, put_off);
	assert_string_equal(scene_notes(), "a b c d <c found e f <e found <a udp");
	look_twice(put_off, put_off);
	assert_string_equal(scene_notes(), "a b c d <c found e f <e found <a udp");
}

/* The end of a look-up may pass the query on, drop it, or suspend it. */
static void test_verdicts_of_done(void **state)
{
	for (int i = 0; i < 2; i++) {
		parts[3].act = i ? put_off : answer_mark;
		parts[1].done = answer_next;
		assert_int_equal(scene_ask("example.org.", ""), !i);
		if (i)
			scene_resume(&parts[3], answer_mark);
		assert_string_equal(scene_notes(),
				    i ? "a b c d <c found <b <a udp" : "a b c d <c found <b <a");
		assert_int_equal(sent_rcode(), VIGIE_RCODE_REFUSED);

		parts[1].done = answer_drop;
		assert_false(scene_ask("example.org.", ""));
		if (i)
			scene_resume(&parts[3], answer_mark);
		assert_string_equal(scene_notes(), "a b c d <c found");
		assert_int_equal(worker->suspended, 0);

		parts[1].done = put_off;
		assert_false(scene_ask("example.org.", ""));
		if (i)
			scene_resume(&parts[3], answer_mark);
		assert_int_equal(worker->suspended, 1);
		scene_resume(&parts[1], answer_mark);
		assert_string_equal(scene_notes(), "a b c d <c found <a udp");
		assert_string_equal(sent_marks(), "b"); /* a resumed answer is empty at first */
		assert_int_equal(worker->suspended, 0);
	}
}

/* A name that leads back to itself: it ends, and everybody on the way hears of it. */
static void test_depth(void **state)
{
	const char *text;
	size_t times = 0;

	vigie_name_from_text(&parts[1].target, "loop.org.");
	assert_true(scene_ask("loop.org.", ""));
	text = scene_notes();
	for (const char *b = text; (b = strstr(b, "b")); b++)
		times++;
	assert_int_equal(times, VIGIE_DEPTH_MAX + 1);
	assert_non_null(strstr(text, "b nothing <a found <a"));
	assert_int_equal(parts[1].depth, VIGIE_DEPTH_MAX);
	assert_int_equal(sent_rcode(), VIGIE_RCODE_SERVFAIL);
	assert_int_equal(worker->suspended, 0);
}

/* The same with every step suspended. */
static void test_depth_suspended(void **state)
{
	vigie_name_from_text(&parts[1].target, "loop.org.");
	parts[1].act = put_off;
	assert_false(scene_ask("loop.org.", ""));
	for (unsigned i = 0; i < VIGIE_DEPTH_MAX; i++) {
		scene_resume(&parts[1], look_up);
		assert_int_equal(parts[1].depth, i + 1);
		assert_int_equal(worker->suspended, i + 2);
	}
	scene_resume(&parts[1], look_up);
	assert_int_equal(worker->suspended, 0);
	assert_non_null(strstr(scene_notes(), "nothing <a found <a"));
	assert_int_equal(sent_rcode(), VIGIE_RCODE_SERVFAIL);
}

/* The look-up took the last place: who asked for it cannot wait. */
static void test_no_place_to_wait(void **state)
{
	struct vigie_pending *lookup;

	parts[3].act = put_off;
	for (int i = 0; i < VIGIE_SUSPENDED_MAX - 1; i++)
		assert_false(scene_ask("x.net.", ""));
	scene_notes();
	assert_true(scene_ask("example.org.", ""));
	lookup = parts[3].pending;
	assert_string_equal(scene_notes(), "a b c d nothing <a");
	assert_int_equal(sent_rcode(), VIGIE_RCODE_SERVFAIL);
	assert_true(scene_ask("example.org.", "")); /* not even the look-up has one now */
	assert_string_equal(scene_notes(), "a b c d <c found <a");
	assert_int_equal(sent_rcode(), VIGIE_RCODE_SERVFAIL);
	parts[3].pending = lookup;
	scene_resume(&parts[3], answer_mark); /* nobody waits for it */
	assert_string_equal(scene_notes(), "<c");
	assert_int_equal(worker->suspended, VIGIE_SUSPENDED_MAX - 1);
}

static void test_forgotten_connection(void **state)
{
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", "tcp"));
	scene_notes();
	flight_forget_connection(worker, scene_connection());
	scene_resume(&parts[3], answer_mark);
	assert_string_equal(scene_notes(), "<c found <a");
	assert_int_equal(worker->suspended, 0);
}

static void test_abandon(void **state)
{
	parts[3].act = look_up;
	parts[5].act = put_off;
	assert_false(scene_ask("example.org.", "tcp"));
	assert_int_equal(worker->suspended, 3);
	scene_notes();
	flight_abandon(worker);
	assert_string_equal(scene_notes(), "");
	assert_int_equal(worker->suspended, 0);
	assert_int_equal(connection_pending, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_at_once, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_asks_alike, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_nobody_there, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_suspended, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_suspended_twice, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_suspended_then_nothing, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_cancelled, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_after_suspension, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_within_look_up, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_one_after_another, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_verdicts_of_done, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_depth, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_depth_suspended, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_no_place_to_wait, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_forgotten_connection, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_abandon, setup, scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

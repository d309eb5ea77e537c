/* The rest of a chain, run in the background or for a request that does not wait for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scene.h"

static enum vigie_verdict run_behind(struct part *part, struct vigie_request *request)
{
	assert_true(vigie_request_background(request));
	return answer_mark(part, request);
}

/* The directives behind serve it, they and the caller hear of the answer, the client gets the caller's. */
static void test_background(void **state)
{
	scene_block("org.", "abcd");
	parts[1].act = run_behind;
	parts[3].act = answer_mark;
	assert_true(scene_ask("example.org.", "edns"));
	assert_string_equal(scene_notes(), "a b c d <c <b <a");
	assert_string_equal(sent_marks(), "b");
	assert_int_equal(parts[3].channel, VIGIE_CHANNEL_INTERNAL);
	assert_int_equal(parts[3].depth, 1);
	assert_true(parts[3].edns);
	parts[3].act = put_off;
	assert_true(scene_ask("example.org.", "tcp"));
	assert_string_equal(scene_notes(), "a b c d <a");
	assert_int_equal(worker->suspended, 1);
	assert_int_equal(connection_pending, 0);
	scene_resume(&parts[3], answer_mark);
	assert_string_equal(scene_notes(), "<c <b"); /* and nothing is sent */
	assert_int_equal(worker->suspended, 0);
	parts[3].act = NULL; /* nobody answers */
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b c d <d <c <b <a");
	parts[3].act = answer_drop;
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b c d <a");
}

static const uint8_t *last_reply;

static enum vigie_verdict awaited(struct vigie_request *request, const uint8_t *reply, size_t length,
				  void *argument)
{
	struct part *part = argument;

	last_reply = reply;
	scene_note(reply ? "reply" : "none");
	if (!reply)
		return answer_mark(part, request);
	return vigie_answer_take(request->answer, reply, length) ? VIGIE_DROP : VIGIE_ANSWERED;
}

static uint32_t timeout_ms;

static enum vigie_verdict await(struct part *part, struct vigie_request *request)
{
	return vigie_request_await(request, timeout_ms, awaited, part);
}

static void set_up(void)
{
	scene_block("org.", "abcd");
	parts[1].act = await;
	parts[3].act = answer_mark;
	timeout_ms = 1;
}

static void test_at_once(void **state)
{
	set_up();
	assert_true(scene_ask("example.org.", "edns"));
	assert_string_equal(scene_notes(), "a b c d <c <b reply <a");
	assert_string_equal(sent_marks(), "d");
	parts[3].act = answer_drop;
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b c d none <a");
	assert_string_equal(sent_marks(), "b");
	assert_int_equal(worker->suspended, 0);
}

static void test_in_time(void **state)
{
	set_up();
	timeout_ms = 1000000;
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", "tcp"));
	assert_int_equal(worker->suspended, 2);
	assert_int_equal(connection_pending, 1);
	scene_notes();
	scene_resume(&parts[3], put_off); /* it waits once more */
	scene_resume(&parts[3], answer_mark);
	assert_string_equal(scene_notes(), "<c <b reply <a tcp");
	assert_string_equal(sent_marks(), "d");
	assert_int_equal(worker->suspended, 0);
	assert_int_equal(connection_pending, 0);
	assert_null(worker->awaiting);
}

/* The client gets what the caller has; the rest goes on and is heard of. */
static void test_too_late(void **state)
{
	set_up();
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", ""));
	scene_notes();
	while (worker->awaiting)
		uv_run(&worker->loop, UV_RUN_NOWAIT); /* the other way it may sleep after the last timer */
	assert_string_equal(scene_notes(), "none <a udp");
	assert_string_equal(sent_marks(), "b");
	assert_int_equal(worker->suspended, 1);
	scene_resume(&parts[3], answer_mark);
	assert_string_equal(scene_notes(), "<c <b");
	assert_int_equal(worker->suspended, 0);
}

static void test_for_ever(void **state)
{
	set_up();
	timeout_ms = 0;
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", ""));
	assert_null(worker->awaiting);
	scene_notes();
	scene_resume(&parts[3], answer_drop);
	assert_string_equal(scene_notes(), "none <a udp");
	assert_int_equal(worker->suspended, 0);
}

/* Several with different times end in the order of these. */
static void test_order(void **state)
{
	static const uint32_t times[] = {30, 10, 20, 10};
	struct vigie_pending *pending[4];

	set_up();
	parts[3].act = put_off;
	for (size_t i = 0; i < 4; i++) {
		timeout_ms = times[i];
		assert_false(scene_ask("example.org.", ""));
		pending[i] = parts[3].pending;
	}
	scene_notes();
	parts[3].pending = pending[2];
	scene_resume(&parts[3], answer_mark);
	assert_string_equal(scene_notes(), "<c <b reply <a udp");
	while (worker->awaiting)
		uv_run(&worker->loop, UV_RUN_NOWAIT); /* the other way it may sleep after the last timer */
	assert_string_equal(scene_notes(), "none <a udp none <a udp none <a udp");
	assert_int_equal(worker->suspended, 3);
	/* What is left is abandoned at the end. */
}

/* The client's connection goes meanwhile; the worker ends while both wait. */
static void test_ends(void **state)
{
	set_up();
	timeout_ms = 1000000;
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", "tcp"));
	flight_forget_connection(worker, scene_connection());
	connection_pending = 0;
	scene_notes();
	scene_resume(&parts[3], answer_mark);
	assert_string_equal(scene_notes(), "<c <b reply <a");
	assert_false(scene_ask("example.org.", ""));
	assert_int_equal(worker->suspended, 2);
	assert_non_null(worker->awaiting);
}

/* No room for the client's request: it is answered at once, and the rest goes on. */
static void test_too_many(void **state)
{
	set_up();
	parts[3].act = put_off;
	worker->suspended = VIGIE_SUSPENDED_MAX - 1;
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b c d none <a");
	assert_string_equal(sent_marks(), "b");
	worker->suspended -= VIGIE_SUSPENDED_MAX - 1;
	scene_resume(&parts[3], answer_mark);
	assert_string_equal(scene_notes(), "<c <b");
	assert_int_equal(worker->suspended, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_background, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_at_once, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_in_time, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_too_late, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_for_ever, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_order, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_ends, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_too_many, scene_setup, scene_teardown),
	};

	return cmocka_run_group_tests_name("await", tests, NULL, NULL);
}

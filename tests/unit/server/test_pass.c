/* Directives that let the rest of the chain serve another query in place of the client's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scene.h"

static uint8_t seen[VIGIE_NAME_MAX]; /* the last name that `d` was asked for */

static enum vigie_verdict back(struct vigie_request *request, const uint8_t *reply, size_t length,
			       void *argument)
{
	scene_note(reply ? "back" : "nothing");
	if (!reply)
		return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "nothing came back");
	vigie_answer_append(request->answer, reply, length);
	request->answer->rcode = vigie_reply_rcode(reply);
	return VIGIE_ANSWERED;
}

/* Lets the rest answer for `target`, type TXT. */
static enum vigie_verdict pass_on(struct part *part, struct vigie_request *request)
{
	uint8_t packet[VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4 + 11];
	size_t length = vigie_query_write(packet, sizeof(packet), request->query->id, request->query->flags,
					  part->target.bytes, VIGIE_TYPE_TXT, VIGIE_CLASS_IN,
					  request->query->edns, request->query->edns_do);
	struct vigie_query query;

	assert_int_equal(vigie_query_parse(&query, packet, length), VIGIE_GATE_OK);
	return vigie_request_pass(request, &query, back, part);
}

static enum vigie_verdict answer_seen(struct part *part, struct vigie_request *request)
{
	memcpy(seen, request->query->name.bytes, request->query->name.length);
	assert_int_equal(request->query->type, VIGIE_TYPE_TXT);
	return answer_mark(part, request);
}

static enum vigie_verdict answer_error(struct part *part, struct vigie_request *request)
{
	vigie_request_fail(request, VIGIE_RCODE_REFUSED, "no");
	vigie_answer_explain(request->answer, VIGIE_EDE_BLOCKED, "because");
	return VIGIE_ANSWERED;
}

static int setup(void **state)
{
	int failed = scene_setup(state);

	scene_block("org.", "abcd");
	parts[1].act = pass_on;
	vigie_name_from_text(&parts[1].target, "x.net.");
	parts[3].act = answer_seen;
	memset(seen, 0, sizeof(seen));
	return failed;
}

static void test_at_once(void **state)
{
	assert_true(scene_ask("example.org.", ""));
	/* Who stands before hears of the answer once. */
	assert_string_equal(scene_notes(), "a b c d <c back <a");
	assert_memory_equal(seen, "\1x\3net", 7);
	assert_string_equal(sent_marks(), "d");
	assert_memory_equal(sent, "\x12\x34\x81\0\0\1\0\1\0\0\0\0\7example\3org", 25);
	assert_int_equal(parts[2].depth, 1);
	assert_int_equal(parts[2].channel, VIGIE_CHANNEL_UDP); /* it is still that client's query */
	assert_int_equal(worker->suspended, 0);
}

static void test_suspended(void **state)
{
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", "tcp"));
	assert_string_equal(scene_notes(), "a b c d");
	assert_int_equal(parts[2].channel, VIGIE_CHANNEL_TCP);
	assert_int_equal(worker->suspended, 2);
	assert_int_equal(connection_pending, 1);
	scene_resume(&parts[3], answer_seen);
	assert_string_equal(scene_notes(), "<c back <a tcp");
	assert_memory_equal(seen, "\1x\3net", 7);
	assert_string_equal(sent_marks(), "d");
	assert_int_equal(worker->suspended, 0);
	assert_int_equal(connection_pending, 0);
}

static void test_suspended_twice(void **state)
{
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", ""));
	scene_resume(&parts[3], put_off);
	assert_string_equal(scene_notes(), "a b c d");
	scene_resume(&parts[3], answer_mark);
	assert_string_equal(scene_notes(), "<c back <a udp");
	assert_string_equal(sent_marks(), "d");
	assert_int_equal(worker->suspended, 0);
}

/* What the rest drops is dropped: the client hears nothing, whoever passed it on. */
static void test_dropped(void **state)
{
	parts[3].act = answer_drop;
	assert_false(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b c d");
	assert_int_equal(worker->counters.dropped, 1);
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", "tcp"));
	scene_resume(&parts[3], answer_drop);
	assert_string_equal(scene_notes(), "a b c d");
	assert_int_equal(worker->counters.dropped, 2);
	assert_int_equal(worker->suspended, 0);
	assert_int_equal(connection_pending, 0);
}

/* Nobody behind it: the chain's end refuses. */
static void test_nobody_behind(void **state)
{
	parts[2].act = answer_next;
	parts[3].act = answer_next;
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b c d <d <c back <a");
	assert_int_equal(sent_rcode(), VIGIE_RCODE_REFUSED);
}

/* Why an answer is an error is heard of before the pass, too. */
static void test_explanations(void **state)
{
	parts[3].act = answer_error;
	assert_true(scene_ask("example.org.", "edns"));
	assert_int_equal(sent_rcode(), VIGIE_RCODE_REFUSED);
	assert_memory_equal(sent + sent_length - 13, "\0\17\0\11\0\17because", 13);
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", "edns"));
	scene_resume(&parts[3], answer_error);
	assert_memory_equal(sent + sent_length - 13, "\0\17\0\11\0\17because", 13);
}

static void test_one_after_another(void **state)
{
	parts[2].act = pass_on;
	vigie_name_from_text(&parts[2].target, "y.com.");
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b c d back back <a");
	assert_memory_equal(seen, "\1y\3com", 7);
	assert_string_equal(sent_marks(), "d");
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", ""));
	assert_int_equal(worker->suspended, 3);
	scene_resume(&parts[3], answer_seen);
	assert_string_equal(scene_notes(), "a b c d back back <a udp");
	assert_int_equal(worker->suspended, 0);
}

/* Behind a look-up, and with one behind it; too many within one another come to nothing. */
static void test_look_ups(void **state)
{
	parts[3].act = look_up;
	vigie_name_from_text(&parts[3].target, "again.org.");
	assert_true(scene_ask("example.org.", ""));
	assert_int_equal(parts[2].depth, VIGIE_DEPTH_MAX - 1);
	assert_int_equal(worker->suspended, 0);
	scene_notes();
}

static void test_abandon(void **state)
{
	parts[3].act = put_off;
	assert_false(scene_ask("example.org.", "tcp"));
	flight_abandon(worker);
	assert_int_equal(worker->suspended, 0);
	assert_int_equal(connection_pending, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_at_once, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_suspended, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_suspended_twice, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_dropped, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_nobody_behind, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_explanations, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_one_after_another, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_look_ups, setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_abandon, setup, scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

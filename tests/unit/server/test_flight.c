/* A query's way along its block's chain, suspended and resumed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scene.h"

static void test_order(void **state)
{
	scene_block("org.", "abc");
	parts[2].act = answer_mark;
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b c <b <a"); /* who answers hears nothing of it */
	assert_string_equal(sent_marks(), "c");
	assert_int_equal(sent_rcode(), VIGIE_RCODE_NOERROR);
	assert_int_equal(parts[0].depth, 0);
	assert_int_equal(parts[0].channel, VIGIE_CHANNEL_UDP);
}

static void test_hooks(void **state)
{
	scene_block("org.", "A2cd");
	parts[3].act = answer_mark;
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "b c d <c <a");
	parts[1].act = answer_mark;
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "b <a");
}

/* What is held of others' answers is looked at after what this server knows, if nothing stands between. */
static void test_memory_first(void **state)
{
	scene_block("org.", "ahgb");
	parts['g' - 'a'].act = answer_mark;
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a g <a");
	parts['g' - 'a'].act = NULL;
	parts[1].act = answer_mark;
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a g h b <h <g <a");
	scene_block("net.", "hagb");
	assert_true(scene_ask("example.net.", ""));
	assert_string_equal(scene_notes(), "h a g b <g <a <h");
}

static void test_first_answers(void **state)
{
	scene_block("org.", "ab");
	parts[0].act = answer_mark;
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a");
	assert_string_equal(sent_marks(), "a");
}

static void test_nobody_answers(void **state)
{
	scene_block("org.", "ab");
	scene_block("net.", "");
	assert_true(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b <b <a");
	assert_int_equal(sent_rcode(), VIGIE_RCODE_REFUSED);
	assert_true(scene_ask("example.net.", ""));
	assert_int_equal(sent_rcode(), VIGIE_RCODE_REFUSED);
	assert_true(scene_ask("example.com.", "")); /* no block at all */
	assert_string_equal(scene_notes(), "");
	assert_int_equal(sent_rcode(), VIGIE_RCODE_REFUSED);
}

static void test_blocks(void **state)
{
	scene_block("org.", "a");
	scene_block("example.org.", "b")->setup.recursive = true;
	parts[0].act = parts[1].act = answer_mark;
	assert_true(scene_ask("x.org.", ""));
	assert_string_equal(sent_marks(), "a");
	assert_int_equal(vigie_reply_flags(sent) & VIGIE_FLAG_RA, 0);
	assert_true(scene_ask("x.example.org.", ""));
	assert_string_equal(sent_marks(), "b");
	assert_int_equal(vigie_reply_flags(sent) & VIGIE_FLAG_RA, VIGIE_FLAG_RA);
}

static void test_drop(void **state)
{
	scene_block("org.", "ab");
	parts[1].act = answer_drop;
	assert_false(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b");
	assert_int_equal(worker->counters.dropped, 1);
	assert_int_equal(worker->suspended, 0);
}

static void test_resume(void **state)
{
	scene_block("org.", "abc");
	parts[1].act = put_off;
	assert_false(scene_ask("example.org.", ""));
	assert_string_equal(scene_notes(), "a b");
	assert_int_equal(worker->suspended, 1);
	scene_resume(&parts[1], answer_mark);
	assert_string_equal(scene_notes(), "<a udp");
	assert_string_equal(sent_marks(), "b");
	assert_memory_equal(sent, "\x12\x34\x81\0", 4);
	assert_memory_equal(sent + 12, "\7example\3org", 13);
	assert_int_equal(worker->suspended, 0);
	assert_null(worker->pendings);
}

static void test_resume_next(void **state)
{
	scene_block("org.", "abcd");
	parts[1].act = put_off;
	parts[3].act = answer_mark;
	assert_false(scene_ask("example.org.", ""));
	scene_notes();
	scene_resume(&parts[1], answer_next);
	assert_string_equal(scene_notes(), "c d <c <b <a udp");
	assert_string_equal(sent_marks(), "d");
	parts[3].act = NULL;
	assert_false(scene_ask("example.org.", ""));
	scene_notes();
	scene_resume(&parts[1], answer_next);
	assert_string_equal(scene_notes(), "c d <d <c <b <a udp");
	assert_int_equal(sent_rcode(), VIGIE_RCODE_REFUSED);
}

static void test_resume_drop(void **state)
{
	scene_block("org.", "ab");
	parts[1].act = put_off;
	assert_false(scene_ask("example.org.", ""));
	scene_notes();
	scene_resume(&parts[1], answer_drop);
	assert_string_equal(scene_notes(), "");
	assert_int_equal(worker->counters.dropped, 1);
	assert_int_equal(worker->suspended, 0);
}

/* Suspended again where it went on, and by the next of the chain. */
static void test_suspended_again(void **state)
{
	scene_block("org.", "abc");
	parts[1].act = put_off;
	parts[2].act = put_off;
	assert_false(scene_ask("example.org.", "tcp"));
	for (int i = 0; i < 3; i++) {
		scene_resume(&parts[1], put_off);
		assert_int_equal(worker->suspended, 1);
		assert_int_equal(connection_pending, 1);
	}
	scene_resume(&parts[1], answer_next);
	assert_int_equal(worker->suspended, 1);
	assert_string_equal(scene_notes(), "a b c");
	scene_resume(&parts[2], answer_mark);
	assert_string_equal(scene_notes(), "<b <a tcp");
	assert_string_equal(sent_marks(), "c");
	assert_int_equal(worker->suspended, 0);
	assert_int_equal(connection_pending, 0);
}

static void test_cancel(void **state)
{
	scene_block("org.", "ab");
	parts[1].act = take_back;
	assert_true(scene_ask("example.org.", "tcp"));
	assert_string_equal(scene_notes(), "a b <a");
	assert_string_equal(sent_marks(), "b");
	assert_int_equal(worker->suspended, 0);
	assert_int_equal(connection_pending, 0);
	parts[1].act = put_off;
	assert_false(scene_ask("example.org.", "tcp"));
	scene_resume(&parts[1], take_back); /* while resumed, too */
	assert_string_equal(scene_notes(), "a b <a tcp");
	assert_int_equal(worker->suspended, 0);
	assert_int_equal(connection_pending, 0);
}

/* Many at once, ended in another order than they began. */
static void test_many(void **state)
{
	static const char *const names[] = {"a.org.", "bb.org.", "ccc.org.", "dddd.org.", "eeeee.org."};
	static const size_t order[] = {2, 0, 4, 3, 1};
	struct vigie_pending *pending[5];

	scene_block("org.", "a");
	parts[0].act = put_off;
	for (size_t i = 0; i < 5; i++) {
		assert_false(scene_ask(names[i], ""));
		pending[i] = parts[0].pending;
	}
	for (size_t i = 0; i < 5; i++) {
		parts[0].pending = pending[order[i]];
		scene_resume(&parts[0], answer_mark);
		assert_int_equal(sent[12], order[i] + 1);
		assert_int_equal(worker->suspended, 4 - i);
	}
	assert_null(worker->pendings);
}

static enum vigie_verdict set_and_put_off(struct part *part, struct vigie_request *request)
{
	request->rotation = 42;
	request->silent = true;
	return put_off(part, request);
}

static enum vigie_verdict check_kept(struct part *part, struct vigie_request *request)
{
	assert_int_equal(request->rotation, 42);
	assert_true(request->silent);
	assert_int_equal(request->channel, VIGIE_CHANNEL_UDP);
	assert_int_equal(request->depth, 0);
	assert_true(request->query->edns && request->query->edns_do);
	assert_int_equal(request->query->edns_size, VIGIE_UDP_SIZE_EDNS);
	assert_int_equal(request->query->type, VIGIE_TYPE_A);
	assert_int_equal(((const struct sockaddr_in *)request->client)->sin_addr.s_addr, htonl(0xc0000201));
	return answer_mark(part, request);
}

static void test_kept(void **state)
{
	scene_block("org.", "a");
	parts[0].act = set_and_put_off;
	assert_false(scene_ask("example.org.", "edns"));
	scene_resume(&parts[0], check_kept);
	assert_string_equal(sent_marks(), "a");
	assert_int_equal(sent[11], 1); /* OPT */
}

static enum vigie_verdict fill(struct part *part, struct vigie_request *request)
{
	for (int i = 0; i < 100; i++)
		answer_mark(part, request);
	return VIGIE_ANSWERED;
}

/* The client's size holds for a resumed answer as for any: 29 bytes and records of 16 each, OPT of 11. */
static void test_limits(void **state)
{
	static const struct {
		const char *options;
		size_t length;
	} limits[] = {{"", 29 + 30 * 16}, {"edns", 29 + 74 * 16 + 11}, {"tcp", 29 + 100 * 16}};

	scene_block("org.", "a");
	for (size_t i = 0; i < 3; i++) {
		parts[0].act = fill;
		assert_true(scene_ask("example.org.", limits[i].options));
		assert_int_equal(sent_length, limits[i].length);
		parts[0].act = put_off;
		assert_false(scene_ask("example.org.", limits[i].options));
		scene_resume(&parts[0], fill);
		assert_int_equal(sent_length, limits[i].length);
		assert_int_equal(vigie_reply_flags(sent) & VIGIE_FLAG_TC, i < 2 ? VIGIE_FLAG_TC : 0);
	}
}

static void test_too_many(void **state)
{
	scene_block("org.", "a");
	parts[0].act = put_off;
	for (int i = 0; i < VIGIE_SUSPENDED_MAX; i++)
		assert_false(scene_ask("example.org.", ""));
	assert_true(scene_ask("example.org.", ""));
	assert_int_equal(sent_rcode(), VIGIE_RCODE_SERVFAIL);
	parts[0].pending = worker->pendings;
	scene_resume(&parts[0], answer_mark);
	assert_false(scene_ask("example.org.", "")); /* there is room again */
	assert_int_equal(worker->suspended, VIGIE_SUSPENDED_MAX);
	flight_abandon(worker);
	assert_int_equal(worker->suspended, 0);
}

static void test_forgotten_connection(void **state)
{
	struct vigie_pending *kept;

	scene_block("org.", "ab");
	parts[1].act = put_off;
	assert_false(scene_ask("example.org.", ""));
	kept = parts[1].pending;
	assert_false(scene_ask("example.org.", "tcp"));
	assert_int_equal(connection_pending, 1);
	scene_notes();
	flight_forget_connection(worker, (struct connection *)&parts); /* another one's end */
	flight_forget_connection(worker, scene_connection());
	scene_resume(&parts[1], answer_mark);
	assert_string_equal(scene_notes(), "<a"); /* nobody is there to send it to */
	assert_int_equal(connection_pending, 1);  /* nor to be told */
	assert_int_equal(worker->suspended, 1);
	parts[1].pending = kept;
	scene_resume(&parts[1], answer_mark);
	assert_string_equal(scene_notes(), "<a udp");
}

static void test_abandon(void **state)
{
	scene_block("org.", "ab");
	parts[1].act = put_off;
	assert_false(scene_ask("example.org.", ""));
	assert_false(scene_ask("example.org.", "tcp"));
	scene_notes();
	flight_abandon(worker);
	assert_string_equal(scene_notes(), "");
	assert_int_equal(worker->suspended, 0);
	assert_int_equal(connection_pending, 0);
	assert_null(worker->pendings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_memory_first, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_hooks, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_first_answers, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_nobody_answers, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_blocks, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_drop, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_resume, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_resume_next, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_resume_drop, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_suspended_again, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_cancel, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_many, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_kept, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_limits, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_too_many, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_forgotten_connection, scene_setup, scene_teardown),
		cmocka_unit_test_setup_teardown(test_abandon, scene_setup, scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

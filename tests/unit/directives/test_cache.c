/* `cache` with an upstream that does as it is told and a clock that the test moves: hours pass in
 * milliseconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <urcu-qsbr.h>

#include "cache.h"
#include "vigie/arena.h"
#include "vigie/hash.h"

extern const struct vigie_directive vigie_directive_cache;

/* What the rest of the chain says to every question. */
enum mode { ANSWERS, DENIES, FAILS, SILENT, LATE };

static struct vigie_arena *arena;
static struct vigie_corefile corefile;
static struct vigie_process process;
static struct vigie_block block;
static void *instance;
static struct vigie_worker worker;
static enum mode mode;
static uint32_t ttl;           /* of what the upstream says */
static unsigned asked;         /* how often it was */
static unsigned most_a_second; /* of that, in any second */
static uint64_t last_second;
static unsigned in_second;
static bool from_cache; /* the last question was answered without asking */

struct question {
	struct vigie_request request; /* first */
	struct vigie_query query;
	struct vigie_answer answer;
	uint8_t packet[512];
	uint8_t buffer[VIGIE_MESSAGE_MAX];
};
static struct question question;
static struct question behind;

static void add_soa(struct vigie_answer *answer)
{
	uint8_t *rdata =
		vigie_answer_rr(answer, VIGIE_AUTHORITY, VIGIE_OWNER_QUESTION, VIGIE_TYPE_SOA, ttl, 22);

	memset(rdata, 0, 22);
	rdata[21] = (uint8_t)ttl;
}

/* The rest of the chain, and that `cache` hears of its answer. */
static void serve_upstream(struct vigie_request *request)
{
	uint64_t second = worker.now_ms / 1000;
	struct vigie_answer *answer = request->answer;

	asked++;
	in_second = second == last_second ? in_second + 1 : 1;
	last_second = second;
	most_a_second = in_second > most_a_second ? in_second : most_a_second;
	request->source = VIGIE_SOURCE_UPSTREAM;
	switch (mode) {
	case ANSWERS:
		memcpy(vigie_answer_rr(answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION, VIGIE_TYPE_A, ttl, 4),
		       "\x7f\0\0\1", 4);
		break;
	case DENIES:
		answer->rcode = VIGIE_RCODE_NXDOMAIN;
		add_soa(answer);
		break;
	case FAILS:
		vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "it failed");
		break;
	case SILENT:
	case LATE:
		vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "10.0.0.53:53 is silent");
		request->source = VIGIE_SOURCE_SILENCE;
		break;
	}
	vigie_directive_cache.answered(instance, request);
}

static void copy_question(void)
{
	behind.query = question.query;
	behind.request = (struct vigie_request){
		.query = &behind.query, .answer = &behind.answer, .worker = &worker, .depth = 1};
	vigie_answer_begin(&behind.answer, &behind.query, behind.buffer, VIGIE_MESSAGE_MAX);
	serve_upstream(&behind.request);
}

static bool background(struct vigie_request *request)
{
	copy_question();
	return true;
}

static enum vigie_verdict await(struct vigie_request *request, uint32_t timeout_ms, vigie_lookup_done *done,
				void *argument)
{
	if (mode == LATE) { /* the client's time is over first; the upstreams' is later */
		enum vigie_verdict verdict;

		worker.now_ms += timeout_ms;
		verdict = done(request, NULL, 0, argument);
		copy_question();
		return verdict;
	}
	copy_question();
	return done(request, behind.buffer, vigie_answer_end(&behind.answer), argument);
}

static const struct vigie_request_ops ops = {.background = background, .await = await};

static void start(const char *options)
{
	char text[1024];
	const struct vigie_statement *statement;
	struct vigie_error error;

	snprintf(text, sizeof(text), ".:53 {\n cache %s\n}\n", options);
	arena = vigie_arena_new();
	assert_int_equal(vigie_corefile_parse(&corefile, arena, "Corefile", text, strlen(text), 53, &error),
			 VIGIE_OK);
	process = (struct vigie_process){.workers = 2, .cache_budget = VIGIE_CACHE_BUDGET_MIN};
	block = (struct vigie_block){
		.process = &process, .source = &corefile.blocks[0], .arena = arena, .server = "dns://:53"};
	statement = &corefile.blocks[0].statements[0];
	assert_int_equal(vigie_directive_cache.setup(&block, &statement, 1, &instance, &error), VIGIE_OK);
	assert_int_equal(vigie_directive_cache.start(&block, instance, &error), VIGIE_OK);
	worker = (struct vigie_worker){.now_ms = 1000000, .ops = &ops};
	mode = ANSWERS;
	ttl = 60;
	asked = most_a_second = 0;
}

static int setup(void **state)
{
	vigie_hash_init();
	rcu_register_thread();
	return 0;
}

static int teardown(void **state)
{
	vigie_directive_cache.stop(instance);
	vigie_arena_free(arena);
	rcu_unregister_thread();
	return 0;
}

/* Asks as a client with EDNS and returns the rcode. */
static unsigned ask(const char *name)
{
	struct vigie_name wire;
	unsigned before = asked;
	size_t length;

	assert_int_equal(vigie_name_from_text(&wire, name), VIGIE_OK);
	length = vigie_query_write(question.packet, sizeof(question.packet), 1, 0, wire.bytes, VIGIE_TYPE_A,
				   VIGIE_CLASS_IN, true, false);
	assert_int_equal(vigie_query_parse(&question.query, question.packet, length), VIGIE_GATE_OK);
	question.request = (struct vigie_request){
		.query = &question.query, .answer = &question.answer, .worker = &worker};
	vigie_answer_begin(&question.answer, &question.query, question.buffer, VIGIE_UDP_SIZE_EDNS);
	if (vigie_directive_cache.serve(instance, &question.request) == VIGIE_NEXT)
		serve_upstream(&question.request);
	from_cache = asked == before;
	rcu_quiescent_state();
	return question.answer.rcode;
}

static uint32_t answer_ttl(void)
{
	size_t at = VIGIE_HEADER_SIZE + vigie_query_question_length(&question.query) + 2 + 4;

	return (uint32_t)question.buffer[at] << 24 | (uint32_t)question.buffer[at + 1] << 16 |
	       (uint32_t)question.buffer[at + 2] << 8 | question.buffer[at + 3];
}

static void pass(uint64_t seconds)
{
	worker.now_ms += seconds * 1000;
}

static void assert_stale(enum vigie_ede code)
{
	assert_int_equal(answer_ttl(), 30);
	assert_int_equal(question.answer.ede, code);
}

static void assert_fresh(void)
{
	assert_int_equal(question.answer.rcode, VIGIE_RCODE_NOERROR);
	assert_int_equal(question.answer.count[VIGIE_ANSWER], 1);
	assert_int_equal(question.answer.ede, VIGIE_EDE_NONE);
}

static void test_ages(void **state)
{
	start("");
	ask("a.org.");
	assert_false(from_cache);
	for (uint32_t age = 0; age < 60; age++, pass(1)) {
		ask("a.org.");
		assert_true(from_cache);
		assert_int_equal(answer_ttl(), 60 - age);
	}
	ask("a.org.");
	assert_false(from_cache);
	assert_int_equal(answer_ttl(), 60);
}

static void test_keepttl(void **state)
{
	start("{\n keepttl\n }");
	ask("a.org.");
	pass(59);
	ask("a.org.");
	assert_true(from_cache);
	assert_int_equal(answer_ttl(), 60);
	pass(1);
	ask("a.org.");
	assert_false(from_cache);
}

/* Without an option: fresh when there is something fresh, stale for a day when the upstreams fail, TTL 30. */
static void test_stale_by_default(void **state)
{
	start("");
	ask("a.org.");
	pass(60);
	mode = FAILS;
	assert_int_equal(ask("a.org."), VIGIE_RCODE_NOERROR);
	assert_false(from_cache);
	assert_stale(VIGIE_EDE_STALE);
	assert_string_equal(question.answer.ede_text, "it failed");
	mode = SILENT;
	pass(3600);
	ask("a.org.");
	assert_stale(VIGIE_EDE_STALE);
	assert_string_equal(question.answer.ede_text, "10.0.0.53:53 is silent");
	worker.index = 1; /* while the failure is held, which another one met with */
	ask("a.org.");
	assert_true(from_cache);
	assert_stale(VIGIE_EDE_STALE);
	assert_string_equal(question.answer.ede_text, "10.0.0.53:53 is silent");
	mode = LATE;
	pass(3600);
	ask("a.org.");
	assert_stale(VIGIE_EDE_STALE);
	mode = ANSWERS;
	pass(60);
	ask("a.org.");
	assert_fresh();
	mode = FAILS;
	pass(60 + 86399);
	ask("a.org.");
	assert_stale(VIGIE_EDE_STALE);
	pass(1);
	assert_int_equal(ask("a.org."), VIGIE_RCODE_SERVFAIL);
}

static void test_stale_denial(void **state)
{
	start("");
	mode = DENIES;
	ask("no.org.");
	pass(60);
	mode = FAILS;
	assert_int_equal(ask("no.org."), VIGIE_RCODE_NXDOMAIN);
	assert_stale(VIGIE_EDE_STALE_NXDOMAIN);
	mode = ANSWERS; /* a denial is not for ever */
	pass(30);
	ask("no.org.");
	assert_fresh();
}

static void test_off(void **state)
{
	start("{\n serve_stale 0\n }");
	ask("a.org.");
	pass(60);
	mode = FAILS;
	assert_int_equal(ask("a.org."), VIGIE_RCODE_SERVFAIL);
}

/* An old failure of one name says nothing of another one. */
static void test_why_stale(void **state)
{
	start("");
	ask("a.org.");
	ask("b.org.");
	pass(60);
	mode = FAILS;
	ask("a.org.");
	assert_string_equal(question.answer.ede_text, "it failed");
	mode = LATE;
	ask("b.org.");
	assert_stale(VIGIE_EDE_STALE);
	assert_string_equal(question.answer.ede_text, "no reply in time");
}

/* Stale at once, refreshed behind the answer; here the refresh has ended before the client gets its answer.
 */
static void test_immediate(void **state)
{
	start("{\n serve_stale 10m immediate 7s 30s\n }");
	ask("a.org.");
	pass(60);
	ask("a.org.");
	assert_false(from_cache);
	assert_fresh();
	pass(60);
	mode = FAILS;
	for (int i = 0; i < 30; i++, pass(1)) {
		ask("a.org.");
		assert_int_equal(from_cache, i > 0); /* FAILURE_RECHECK */
		assert_int_equal(answer_ttl(), 7);
		assert_int_equal(question.answer.ede, VIGIE_EDE_STALE);
	}
	ask("a.org.");
	assert_false(from_cache);
	pass(570);
	assert_int_equal(ask("a.org."), VIGIE_RCODE_SERVFAIL); /* ten minutes are over */
}

/* A failing refresh is tried after 1, 2, 4, 8, 16 and then each 30 seconds. */
static void test_back_off(void **state)
{
	static const unsigned waits[] = {1, 2, 4, 8, 16, 30, 30};

	start("");
	ask("a.org.");
	pass(60);
	mode = FAILS;
	ask("a.org.");
	for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
		pass(waits[i] - 1);
		ask("a.org.");
		assert_true(from_cache);
		pass(1);
		ask("a.org.");
		assert_false(from_cache);
	}
}

/* RFC 9520: failures without anything older are held for 1 s, 2 s, 4 s, at most for what `servfail` says. */
static void test_failures(void **state)
{
	static const unsigned waits[] = {1, 2, 4, 5, 5};

	start("");
	mode = FAILS;
	assert_int_equal(ask("a.org."), VIGIE_RCODE_SERVFAIL);
	for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
		worker.now_ms += waits[i] * 1000 - 1;
		assert_int_equal(ask("a.org."), VIGIE_RCODE_SERVFAIL);
		assert_true(from_cache);
		assert_int_equal(question.answer.ede, VIGIE_EDE_CACHED_ERROR);
		assert_string_equal(question.answer.ede_text, "it failed");
		worker.now_ms++;
		ask("a.org.");
		assert_false(from_cache);
	}
	mode = ANSWERS;
	pass(5);
	ask("a.org.");
	assert_fresh();
}

static void test_prefer_positive(void **state)
{
	start("{\n serve_stale 1h verify\n serve_stale_policy prefer_positive\n }");
	ask("a.org.");
	pass(60);
	mode = DENIES;
	assert_int_equal(ask("a.org."), VIGIE_RCODE_NOERROR);
	assert_false(from_cache);
	assert_stale(VIGIE_EDE_STALE);
	pass(59);
	ask("a.org."); /* the denial holds for 60 s, as an answer's refresh */
	assert_true(from_cache);
	pass(1);
	mode = ANSWERS;
	ask("a.org.");
	assert_fresh();
	assert_int_equal(answer_ttl(), 60);
	pass(60);
	mode = DENIES;
	pass(3600);
	assert_int_equal(ask("a.org."), VIGIE_RCODE_NXDOMAIN); /* it is not for ever */
}

static void test_without_policy(void **state)
{
	start("{\n serve_stale 1h verify\n }");
	ask("a.org.");
	pass(60);
	mode = DENIES;
	assert_int_equal(ask("a.org."), VIGIE_RCODE_NXDOMAIN);
	assert_int_equal(question.answer.ede, VIGIE_EDE_NONE);
}

/* Three hits without a minute between them make an answer popular; it is refreshed in its last tenth, once.
 */
static void test_prefetch(void **state)
{
	start("{\n prefetch 3\n }");
	ttl = 100;
	ask("a.org.");
	for (int i = 0; i < 2; i++)
		ask("a.org.");
	pass(89);
	ask("a.org."); /* the third, but the gap was too long */
	assert_true(from_cache);
	pass(1);
	ask("a.org.");
	assert_true(from_cache);
	ask("a.org.");
	assert_false(from_cache);
	assert_int_equal(answer_ttl(), 10); /* the client does not wait for the newer one */
	ask("a.org.");
	assert_true(from_cache);
	assert_int_equal(answer_ttl(), 100);
	pass(90);
	ask("a.org."); /* popularity goes over, but the gap was too long again */
	assert_true(from_cache);
	mode = FAILS;
	asked = 0;
	for (int i = 0; i < 10; i++)
		ask("a.org.");
	assert_int_equal(asked, 1); /* a failure is not tried again at once, and the answer stays */
	assert_fresh();
}

static void test_prefetch_threshold(void **state)
{
	start("{\n prefetch 1 2m 50%\n }");
	ttl = 100;
	ask("a.org.");
	pass(49);
	ask("a.org.");
	assert_true(from_cache);
	pass(1);
	ask("a.org.");
	assert_false(from_cache);
}

/* Both upstreams are gone for 30 minutes; 20 questions a second for 1,000 names. */
static void test_outage(void **state)
{
	char name[32];
	unsigned stale = 0;

	start("");
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%d.org.", i);
		ask(name);
	}
	pass(60);
	mode = SILENT;
	asked = most_a_second = 0;
	for (int i = 0; i < 30 * 60 * 20; i++) {
		snprintf(name, sizeof(name), "n%d.org.", i % 1000);
		assert_int_equal(ask(name), VIGIE_RCODE_NOERROR);
		assert_stale(VIGIE_EDE_STALE);
		stale++;
		worker.now_ms += 50;
	}
	assert_int_equal(stale, 36000);
	assert_true(asked <= 30 * 60 * 1000 / VIGIE_CACHE_ATTEMPT_MS + VIGIE_CACHE_SILENT);
	assert_true(most_a_second <= VIGIE_CACHE_SILENT + 1000 / VIGIE_CACHE_ATTEMPT_MS);
	/* They are back: the first fresh answer within a moment, and then every name's at once. */
	mode = ANSWERS;
	for (int i = 0; i < VIGIE_CACHE_ATTEMPT_MS / 50; i++, worker.now_ms += 50) {
		snprintf(name, sizeof(name), "n%d.org.", i);
		ask(name);
	}
	for (int i = 500; i < 600; i++) {
		snprintf(name, sizeof(name), "n%d.org.", i);
		ask(name);
		assert_fresh();
	}
}

/* One name that fails among others that don't is held back; it does not count as an outage. */
static void test_one_broken_name(void **state)
{
	start("");
	ask("broken.org.");
	ask("good.org.");
	pass(60);
	for (int i = 0; i < 10; i++) {
		mode = SILENT;
		ask("broken.org.");
		assert_stale(VIGIE_EDE_STALE);
		mode = ANSWERS;
		pass(60);
		ask("good.org.");
		assert_fresh();
	}
	mode = SILENT;
	ask("broken.org.");
	ask("broken.org.");
	assert_true(from_cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keepttl, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale_by_default, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale_denial, setup, teardown),
		cmocka_unit_test_setup_teardown(test_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_why_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(test_immediate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_back_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prefer_positive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prefetch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prefetch_threshold, setup, teardown),
		cmocka_unit_test_setup_teardown(test_outage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_broken_name, setup, teardown),
	};

	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}

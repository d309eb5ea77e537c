/* Which upstream is asked when and how, on a simulated network. */
#include "sim.h"
#include "vigie/answer.h"

static struct vigie_forward_options options;
static struct vigie_upstreams *group;
static struct sim_result result;

static int setup(void **state)
{
	vigie_forward_options_init(&options);
	group = NULL;
	return 0;
}

static int teardown(void **state)
{
	if (group)
		sim_free(group);
	return 0;
}

static void begin(size_t count)
{
	group = sim_new(count, &options);
}

static void ask(void)
{
	assert_true(sim_ask(group, &result));
}

/* Lets round trips be known. */
static void warm_up(void)
{
	for (int i = 0; i < 64; i++)
		ask();
	for (size_t i = 0; i < SIM_UPSTREAMS; i++)
		sim_upstreams[i].udp = sim_upstreams[i].tcp = 0;
}

static unsigned packets(void)
{
	unsigned sum = 0;

	for (size_t i = 0; i < SIM_UPSTREAMS; i++)
		sum += sim_upstreams[i].udp + sim_upstreams[i].tcp;
	return sum;
}

static void test_a_plain_answer(void **state)
{
	begin(1);
	ask();
	assert_int_equal(result.status, VIGIE_OK);
	assert_int_equal(result.rcode, VIGIE_RCODE_NOERROR);
	assert_int_equal(result.took_ms, 20);
	assert_int_equal(sim_upstreams[0].udp, 1);
	assert_string_equal(result.upstream, "192.0.2.1:53");
}

/* The timeout follows the round trips; before the first one it is well under a second. */
static void test_the_first_retry(void **state)
{
	begin(2);
	sim_upstreams[0].dead = sim_upstreams[1].dead = true;
	options.policy = VIGIE_POLICY_SEQUENTIAL;
	assert_true(sim_start(group, &result));
	sim_pass(249);
	assert_int_equal(packets(), 1);
	sim_pass(2);
	assert_int_equal(packets(), 2);
}

static void test_a_silent_upstream_costs_one_timeout(void **state)
{
	begin(2);
	warm_up();
	sim_upstreams[0].dead = true;
	for (int i = 0; i < 50; i++) {
		ask();
		assert_int_equal(result.status, VIGIE_OK);
		assert_true(result.took_ms <= 20 + 50);
		assert_string_equal(result.upstream, "192.0.2.2:53");
	}
}

/* RFC 9520 section 3.1, and the bound on all of them. */
static void test_attempts_are_bounded(void **state)
{
	for (size_t round = 0; round <= SIM_UPSTREAMS; round++) {
		size_t count = round > 0 ? round : 1;

		options.force_tcp = round == 0;
		begin(count);
		for (size_t i = 0; i < count; i++)
			sim_upstreams[i].dead = true;
		ask();
		assert_int_equal(result.status, VIGIE_ETIMEOUT);
		assert_true(packets() <= VIGIE_ATTEMPTS_MAX);
		for (size_t i = 0; i < count; i++) {
			assert_true(sim_upstreams[i].udp <= VIGIE_ATTEMPTS_UPSTREAM);
			assert_true(sim_upstreams[i].tcp <= VIGIE_ATTEMPTS_UPSTREAM);
		}
		assert_true(result.took_ms <= VIGIE_EXCHANGE_TOTAL_MS);
		assert_non_null(strstr(result.trouble, "i/o timeout"));
		sim_free(group);
		group = NULL;
	}
}

/* One question earns one retry: a group whose upstreams lose everything does not get six times the traffic.
 */
static void test_retries_have_a_budget(void **state)
{
	enum { QUESTIONS = 3000 };
	static struct sim_result results[QUESTIONS];

	options.losses = 0;
	begin(2);
	sim_upstreams[0].dead = sim_upstreams[1].dead = true;
	for (int i = 0; i < QUESTIONS; i++)
		assert_true(sim_start(group, &results[i]));
	sim_pass(6000);
	assert_true(packets() <= 2 * QUESTIONS + BUDGET_MAX);
}

/* The retries that a group has which takes over from `group`. */
static int retries_after_a_reload(void)
{
	struct vigie_upstreams *next = vigie_upstreams_new(&options);
	int retries = 0;

	assert_non_null(next);
	assert_int_equal(vigie_upstreams_inherit(next, group), VIGIE_OK);
	while (upstreams_spend(next))
		retries++;
	vigie_upstreams_free(next);
	return retries;
}

static void test_the_budget_outlives_a_reload(void **state)
{
	begin(2);
	assert_int_equal(retries_after_a_reload(), BUDGET_MAX);
	for (int i = 0; i < BUDGET_MAX - 3; i++)
		assert_true(upstreams_spend(group));
	assert_int_equal(retries_after_a_reload(), 3);
	/* Of servers that are reached in another way nothing is known. */
	options.source.ss_family = AF_INET;
	assert_int_equal(retries_after_a_reload(), BUDGET_MAX);
}

static void test_the_breaker(void **state)
{
	begin(2);
	warm_up();
	sim_upstreams[1].dead = true;
	for (int i = 0; i < 100; i++)
		ask();
	assert_true(sim_upstream(group, 1)->health.open);
	sim_upstreams[1].udp = sim_upstreams[1].tcp = 0;
	for (int i = 0; i < 1000; i++)
		ask();
	assert_int_equal(sim_upstreams[1].udp + sim_upstreams[1].tcp, 0);
	/* The last that is up takes longer to be given up; then nothing is sent any more. */
	sim_upstreams[0].dead = true;
	for (int i = 0; i < 50 && sim_ask(group, &result); i++)
		continue;
	assert_true(sim_upstream(group, 0)->health.open);
	assert_false(sim_ask(group, &result));
}

/* Round trips that differ much make the time-out long, but not the hedge: nobody waits for half a round trip
 * more while another upstream could answer. */
static void test_the_hedge_on_a_rough_path(void **state)
{
	const struct health *health;

	begin(1);
	for (int i = 0; i < 100; i++) {
		sim_upstreams[0].rtt_ms = i % 2 ? 20 : 60;
		ask();
	}
	health = &sim_upstream(group, 0)->health;
	assert_true(health->timeout_us > health->srtt_us * 2);
	assert_true(health->hedge_us <= health->srtt_us + health->srtt_us / 2);
	sim_upstreams[0].rtt_ms = 20;
}

/* Questions, one each millisecond. The longest of them is returned. */
static uint64_t ask_for_ms(unsigned ms)
{
	enum { MOST = 200 };
	static struct sim_result results[MOST];
	uint64_t longest = 0;

	assert_true(ms <= MOST);
	for (unsigned i = 0; i < ms; i++) {
		assert_true(sim_start(group, &results[i]));
		sim_run(sim_now_ms() + 1);
	}
	sim_run(sim_now_ms() + 1000);
	for (unsigned i = 0; i < ms; i++) {
		assert_true(results[i].done && results[i].status == VIGIE_OK);
		if (results[i].took_ms > longest)
			longest = results[i].took_ms;
	}
	return longest;
}

/* Before the breaker opens: questions are put to others first as soon as some were lost, but for one now and
 * then, whose reply ends that. */
static void test_a_silent_one_is_spared(void **state)
{
	begin(2);
	warm_up();
	sim_upstreams[1].dead = true;
	sim_upstreams[0].udp = sim_upstreams[1].udp = 0;
	assert_true(ask_for_ms(150) <= 70);
	assert_false(sim_upstream(group, 1)->health.open);
	assert_true(sim_upstreams[1].udp > 5 &&
		    sim_upstreams[1].udp < 45); /* half of the first 40, and tries */
	sim_upstreams[1].dead = false;
	sim_upstreams[1].udp = 0;
	ask_for_ms(30); /* somebody tries */
	assert_true(sim_upstreams[1].udp > 0);
	sim_upstreams[1].udp = 0;
	ask_for_ms(100);
	assert_true(sim_upstreams[1].udp > 20);
}

/* Nobody who waits for another one longer than usual is helped by one that is silent. */
static void test_a_silent_one_is_no_help(void **state)
{
	begin(2);
	warm_up();
	for (int i = 0; i < 200; i++)
		ask();
	sim_upstreams[1].dead = true;
	ask_for_ms(60);
	sim_upstreams[0].rtt_ms = 35;
	sim_upstreams[0].udp = sim_upstreams[1].udp = 0;
	ask_for_ms(50);
	assert_true(sim_upstreams[0].udp + sim_upstreams[1].udp <= 50 + 2);
	sim_upstreams[0].rtt_ms = 20;
}

/* One that is asked first and whose questions are all taken over by a faster one before its own time-out: it
 * is found out when it is dead, and kept when it is just slower. */
static void test_one_that_is_always_overtaken(void **state)
{
	options.policy = VIGIE_POLICY_SEQUENTIAL;
	begin(2);
	sim_upstreams[0].rtt_ms = 400;
	sim_upstreams[1].rtt_ms = 1;
	warm_up(); /* the second one is timed */
	sim_upstreams[0].rtt_ms = 150;
	for (int i = 0; i < 200; i++) {
		ask();
		assert_string_equal(result.upstream, sim_upstream(group, 1)->target.text);
	}
	assert_false(sim_upstream(group, 0)->health.open);
	sim_upstreams[0].dead = true;
	for (int i = 0; i < 4000 && !sim_upstream(group, 0)->health.open; i++)
		ask(); /* most of them are put to the second one at once: it is silent */
	assert_true(sim_upstream(group, 0)->health.open);
	sim_upstreams[0].rtt_ms = sim_upstreams[1].rtt_ms = 20;
}

/* Another one is asked as soon as it would have answered: 10 ms above its round trip; that alone is no loss.
 */
static void test_the_hedge(void **state)
{
	begin(2);
	warm_up();
	for (int i = 0; i < 200; i++)
		ask(); /* the deviation of the first round trips is forgotten */
	sim_upstreams[0].rtt_ms = sim_upstreams[1].rtt_ms = 35;
	ask();
	assert_int_equal(result.took_ms, 35);
	assert_int_equal(result.packets, 2);
	assert_int_equal(sim_upstream(group, 0)->health.lost + sim_upstream(group, 1)->health.lost, 0);
	sim_upstreams[0].rtt_ms = sim_upstreams[1].rtt_ms = 20;
}

/* A question that has no answer is not an upstream that is away: a client cannot take one from the others. */
static void test_a_question_without_answer_gives_nobody_up(void **state)
{
	begin(1);
	warm_up();
	sim_upstreams[0].mute = true;
	for (int i = 0; i < 20; i++) {
		ask();
		assert_int_equal(result.status, VIGIE_ETIMEOUT);
	}
	assert_false(sim_upstream(group, 0)->health.open);
}

static void test_max_fails_0(void **state)
{
	options.losses = 0;
	begin(1);
	sim_upstreams[0].dead = true;
	for (int i = 0; i < 100; i++)
		ask();
	assert_false(sim_upstream(group, 0)->health.open);
}

/* ICMP can be forged: it brings the next attempt forward, and the reply is still taken. */
static void test_a_refusal_is_a_hint(void **state)
{
	begin(2);
	warm_up();
	sim_upstreams[0].refuses = true;
	sim_upstreams[0].rtt_ms = 1;
	for (int i = 0; i < 20; i++) {
		ask();
		assert_int_equal(result.status, VIGIE_OK);
		assert_true(result.took_ms <= 22);
	}
}

static void test_a_forged_refusal_loses_no_reply(void **state)
{
	begin(1);
	warm_up();
	assert_true(sim_start(group, &result));
	exchange_failed(sim_attempt(0), -111, "connection refused");
	sim_pass(25);
	assert_true(result.done && result.status == VIGIE_OK);
	assert_int_equal(packets(), 1);
}

static void test_truncated_is_asked_by_tcp(void **state)
{
	begin(1);
	sim_upstreams[0].truncates = true;
	ask();
	assert_int_equal(result.status, VIGIE_OK);
	assert_int_equal(result.flags & VIGIE_FLAG_TC, 0);
	assert_int_equal(sim_upstreams[0].udp, 1);
	assert_int_equal(sim_upstreams[0].tcp, 1);
	/* An upstream that truncates most is asked by TCP at once, for a while. */
	for (int i = 0; i < 20; i++)
		ask();
	sim_upstreams[0].udp = 0;
	for (int i = 0; i < 20; i++)
		ask();
	assert_int_equal(sim_upstreams[0].udp, 0);
	sim_pass(61000);
	ask();
	assert_int_equal(sim_upstreams[0].udp, 1);
}

static void test_truncated_and_no_tcp(void **state)
{
	begin(1);
	sim_upstreams[0].truncates = sim_upstreams[0].tcp_refuses = true;
	ask();
	assert_int_equal(result.status, VIGIE_OK);
	assert_true(result.flags & VIGIE_FLAG_TC);
}

/* RFC 6891 section 7: FORMERR without OPT, or the bare header of servers that are older still. */
static void test_an_upstream_without_edns(void **state)
{
	for (int bare = 0; bare < 2; bare++) {
		begin(1);
		sim_upstreams[0].hates_edns = true;
		sim_upstreams[0].bare = bare;
		ask();
		assert_int_equal(result.rcode, VIGIE_RCODE_NOERROR);
		assert_int_equal(sim_upstreams[0].udp, 2);
		ask(); /* it is remembered */
		assert_int_equal(sim_upstreams[0].udp, 3);
		sim_pass(16 * 60 * 1000);
		ask(); /* and tried again */
		assert_int_equal(sim_upstreams[0].udp, 5);
		sim_free(group);
		group = NULL;
	}
}

/* An upstream that changes letters is found out by TCP, and by going without where there is none. */
static void test_an_upstream_that_folds(void **state)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		begin(1);
		sim_upstreams[0].folds = true;
		sim_upstreams[0].tcp_refuses = !tcp;
		ask();
		assert_int_equal(result.status, VIGIE_OK);
		sim_upstreams[0].udp = sim_upstreams[0].tcp = 0;
		ask();
		assert_int_equal(result.status, VIGIE_OK);
		assert_int_equal(sim_upstreams[0].udp, 1);
		assert_int_equal(sim_upstreams[0].tcp, 0);
		sim_free(group);
		group = NULL;
	}
}

static void test_another_upstream_after_an_error(void **state)
{
	static const uint16_t rcodes[] = {VIGIE_RCODE_SERVFAIL, VIGIE_RCODE_REFUSED, VIGIE_RCODE_NOTIMP};

	options.policy = VIGIE_POLICY_SEQUENTIAL;
	begin(3);
	for (size_t i = 0; i < sizeof(rcodes) / sizeof(*rcodes); i++) {
		sim_upstreams[0].rcode = rcodes[i];
		ask();
		assert_int_equal(result.rcode, VIGIE_RCODE_NOERROR);
	}
	/* Once: two that agree are believed, and neither is given up for it. */
	sim_upstreams[1].rcode = VIGIE_RCODE_SERVFAIL;
	sim_upstreams[2].udp = 0;
	ask();
	assert_int_equal(result.rcode, VIGIE_RCODE_SERVFAIL);
	assert_int_equal(sim_upstreams[2].udp, 0);
	assert_false(sim_upstream(group, 0)->health.open);
	/* The error is at hand while the other one says nothing. */
	sim_upstreams[1].dead = true;
	ask();
	assert_int_equal(result.status, VIGIE_OK);
	assert_true(result.rcode != VIGIE_RCODE_NOERROR);
	assert_true(result.took_ms < 400);
	/* NXDOMAIN is an answer. */
	sim_upstreams[0].rcode = VIGIE_RCODE_NXDOMAIN;
	sim_upstreams[2].udp = 0;
	ask();
	assert_int_equal(result.rcode, VIGIE_RCODE_NXDOMAIN);
	assert_int_equal(sim_upstreams[2].udp, 0);
}

static void test_failover(void **state)
{
	options.policy = VIGIE_POLICY_SEQUENTIAL;
	options.failover = 1U << VIGIE_RCODE_SERVFAIL | 1U << VIGIE_RCODE_NXDOMAIN;
	begin(3);
	sim_upstreams[0].rcode = VIGIE_RCODE_NXDOMAIN;
	sim_upstreams[1].rcode = VIGIE_RCODE_SERVFAIL;
	ask();
	assert_int_equal(result.rcode, VIGIE_RCODE_NOERROR);
	assert_string_equal(result.upstream, "192.0.2.3:53");
	sim_upstreams[2].rcode = VIGIE_RCODE_NXDOMAIN;
	ask();
	assert_int_equal(result.rcode, VIGIE_RCODE_NXDOMAIN); /* the last one's */
}

static void test_policies(void **state)
{
	options.policy = VIGIE_POLICY_SEQUENTIAL;
	begin(3);
	for (int i = 0; i < 10; i++)
		ask();
	assert_int_equal(sim_upstreams[0].udp, 10);
	sim_free(group);
	options.policy = VIGIE_POLICY_ROUND_ROBIN;
	begin(3);
	for (int i = 0; i < 30; i++)
		ask();
	for (int i = 0; i < 3; i++)
		assert_int_equal(sim_upstreams[i].udp, 10);
	sim_free(group);
	options.policy = VIGIE_POLICY_RANDOM;
	begin(3);
	for (int i = 0; i < 300; i++)
		ask();
	for (int i = 0; i < 3; i++)
		assert_in_range(sim_upstreams[i].udp, 60, 140);
}

/* Traffic leaves a slow upstream; a few questions see whether it still is. */
static void test_a_slow_upstream(void **state)
{
	unsigned slow = 0;

	begin(2);
	warm_up();
	sim_upstreams[0].rtt_ms = 500;
	for (int i = 0; i < 200; i++)
		ask(); /* at most 10 s */
	sim_upstreams[0].udp = 0;
	for (int i = 0; i < 1000; i++) {
		ask();
		slow += result.took_ms > 20 + 60;
	}
	assert_true(sim_upstreams[0].udp < 50);
	assert_int_equal(slow, 0);
	sim_upstreams[0].rtt_ms = 20; /* it is fast again, which is noticed */
	for (int i = 0; i < 10000; i++)
		ask();
	sim_upstreams[0].udp = 0;
	for (int i = 0; i < 1000; i++)
		ask();
	assert_in_range(sim_upstreams[0].udp, 350, 650);
}

/* The path to one that comes back may be another one. */
static void test_round_trips_before_an_outage(void **state)
{
	uint64_t now = 1000000;
	struct health health;

	health_init(&health, now);
	for (int i = 0; i < 50; i++)
		health_replied(&health, now, 500000);
	assert_int_equal(health.srtt_us, 500000);
	for (int i = 0; i < 3; i++, now += 300000)
		health_lost(&health, now + 300000, now, 3, false);
	assert_true(health_probe_failed(&health, now));
	assert_true(health.open);
	assert_true(health_replied(&health, now + 60000000, 20000));
	assert_int_equal(health.srtt_us, 20000);
	health_fini(&health);
}

static void test_read_timeout(void **state)
{
	options.read_timeout = 300;
	options.attempts = 1;
	begin(1);
	sim_upstreams[0].dead = true;
	ask();
	assert_int_equal(result.status, VIGIE_ETIMEOUT);
	assert_in_range(result.took_ms, 299, 310);
	assert_int_equal(packets(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_plain_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_first_retry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_silent_upstream_costs_one_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attempts_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retries_have_a_budget, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_budget_outlives_a_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_breaker, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_hedge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_hedge_on_a_rough_path, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_silent_one_is_spared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_silent_one_is_no_help, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_that_is_always_overtaken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_question_without_answer_gives_nobody_up, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_max_fails_0, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_refusal_is_a_hint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_forged_refusal_loses_no_reply, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncated_is_asked_by_tcp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncated_and_no_tcp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_upstream_without_edns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_upstream_that_folds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_upstream_after_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failover, setup, teardown),
		cmocka_unit_test_setup_teardown(test_policies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_slow_upstream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_round_trips_before_an_outage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_timeout, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What the forwarder promises in numbers, on the simulated network. */
#include <math.h>

#include "sim.h"
#include "vigie/answer.h"

static struct vigie_forward_options options;
static struct vigie_upstreams *group;

static int setup(void **state)
{
	vigie_forward_options_init(&options);
	group = sim_new(2, &options);
	return 0;
}

static int teardown(void **state)
{
	sim_free(group);
	return 0;
}

static unsigned packets(void)
{
	return sim_upstreams[0].udp + sim_upstreams[0].tcp + sim_upstreams[1].udp + sim_upstreams[1].tcp;
}

static void warm_up(void)
{
	struct sim_result result;

	for (int i = 0; i < 200; i++)
		assert_true(sim_ask(group, &result));
	for (size_t i = 0; i < SIM_UPSTREAMS; i++)
		sim_upstreams[i].udp = sim_upstreams[i].tcp = 0;
}

/* 10,000 questions a second for so long; `at` may change the network at a time. */
static void load(unsigned milliseconds, struct sim_result *results, size_t *failed_at_once,
		 void (*at)(unsigned millisecond))
{
	size_t count = 0;

	for (unsigned ms = 0; ms < milliseconds; ms++) {
		at(ms);
		for (int i = 0; i < 10; i++) {
			struct sim_result *result = &results[count++];

			if (!sim_start(group, result)) {
				result->done = true;
				result->status = VIGIE_EIO;
				*failed_at_once += 1;
			}
		}
		sim_pass(1);
	}
	sim_pass(6000);
}

static void stop_one(unsigned ms)
{
	if (ms == 2000)
		sim_upstreams[0].dead = true;
}

/* One of two upstreams stops: nobody fails, nobody waits for more than 50 ms beyond the round trip but three,
 * and the dead one gets nothing any more after half a second. */
static void test_one_of_two_stops(void **state)
{
	enum { MS = 10000 };
	struct sim_result *results = calloc(MS * 10, sizeof(*results));
	size_t failed = 0;
	size_t slow = 0;
	unsigned to_dead;

	assert_non_null(results);
	warm_up();
	load(MS, results, &failed, stop_one);
	to_dead = sim_upstreams[0].udp + sim_upstreams[0].tcp;
	for (size_t i = 0; i < MS * 10; i++) {
		assert_true(results[i].done);
		failed += results[i].status != VIGIE_OK || results[i].rcode != VIGIE_RCODE_NOERROR;
		slow += results[i].took_ms > 20 + 50;
	}
	print_message(
		"# %d questions: %zu failed, %zu took more than 50 ms beyond the round trip, %u packets to "
		"the one that stopped after 2 s\n",
		MS * 10, failed, slow, to_dead);
	assert_int_equal(failed, 0);
	assert_true(slow <= 3);
	assert_true(to_dead < 10000 + 3000); /* half of 2 s, and of the time until a probe failed */
	free(results);
}

static void stop_both_then_heal(unsigned ms)
{
	if (ms == 1000)
		sim_upstreams[0].dead = sim_upstreams[1].dead = true;
}

/* Both stop: in a second and a half everything fails at once, and nothing is sent. */
static void test_both_stop(void **state)
{
	enum { MS = 5000 };
	struct sim_result *results = calloc(MS * 10, sizeof(*results));
	struct sim_result result;
	size_t at_once = 0;

	assert_non_null(results);
	warm_up();
	load(MS, results, &at_once, stop_both_then_heal);
	print_message("# %zu of %d questions after the stop failed at once\n", at_once, (MS - 1000) * 10);
	assert_true(at_once > (MS - 2500) * 10);
	sim_upstreams[0].udp = sim_upstreams[0].tcp = sim_upstreams[1].udp = sim_upstreams[1].tcp = 0;
	/* Half an hour later still: no question costs a packet. */
	for (int i = 0; i < 1800; i++) {
		sim_pass(1000);
		assert_false(sim_ask(group, &result));
	}
	assert_int_equal(packets(), 0);
	/* A probe's reply brings everything back. */
	health_replied(&sim_upstream(group, 0)->health, sim_now_ms() * 1000, 20000);
	sim_upstreams[0].dead = false;
	assert_true(sim_ask(group, &result));
	assert_int_equal(result.status, VIGIE_OK);
	free(results);
}

static void test_loss(unsigned percent, double answered, uint64_t within_ms, double per_question)
{
	enum { QUESTIONS = 100000 };
	struct sim_result result;
	unsigned late = 0;

	sim_upstreams[0].loss = sim_upstreams[1].loss = percent;
	for (int i = 0; i < QUESTIONS; i++) {
		bool good = sim_ask(group, &result) && result.status == VIGIE_OK &&
			    result.rcode == VIGIE_RCODE_NOERROR && result.took_ms <= within_ms;

		late += !good;
	}
	print_message("# loss of %u %% each way: %.4f %% answered within %u ms, %.3f packets a question\n",
		      percent, 100.0 * (QUESTIONS - late) / QUESTIONS, (unsigned)within_ms,
		      (double)packets() / QUESTIONS);
	assert_true(late <= (1 - answered) * QUESTIONS);
	assert_true(packets() <= per_question * QUESTIONS);
}

static void test_loss_of_10_percent(void **state)
{
	test_loss(10, 0.9999, 2000, 1.35);
}

static void test_loss_of_30_percent(void **state)
{
	test_loss(30, 0.995, 4500, 2.2);
}

/* All replies by UDP are cut: everything is answered, by one connection. */
static void test_tc_on_every_reply(void **state)
{
	enum { QUESTIONS = 20000 };
	struct sim_result result;

	sim_upstreams[0].truncates = sim_upstreams[1].truncates = true;
	for (int i = 0; i < QUESTIONS; i++) {
		assert_true(sim_ask(group, &result));
		assert_true(result.status == VIGIE_OK && !(result.flags & VIGIE_FLAG_TC));
	}
	assert_true(sim_upstreams[0].handshakes + sim_upstreams[1].handshakes <= QUESTIONS / 1000);
	assert_true(packets() < QUESTIONS * 11 / 10);
}

/* Whatever upstreams do: no question costs more than six packets, three to one upstream by one transport. */
static void test_amplification(void **state)
{
	enum { PLANS = 20000, FEW = 4 };
	unsigned long sum = 0;

	for (unsigned plan = 0; plan < PLANS; plan++) {
		struct sim_result result;

		if (plan % 4 == 0) { /* the breakers begin closed */
			sim_free(group);
			options.attempts = plan % 16 == 0 ? FEW : VIGIE_ATTEMPTS_MAX;
			group = sim_new(2, &options);
			sim_pass(plan);
		}
		for (size_t i = 0; i < 2; i++) {
			struct sim_upstream *upstream = &sim_upstreams[i];

			*upstream = (struct sim_upstream){
				.dead = sim_random(8) == 0,
				.refuses = sim_random(8) == 0,
				.tcp_refuses = sim_random(4) == 0,
				.truncates = sim_random(3) == 0,
				.folds = sim_random(3) == 0,
				.hates_edns = sim_random(3) == 0,
				.bare = sim_random(2) == 0,
				.rcode = (uint16_t)(sim_random(2) ? sim_random(6) : 0),
				.rtt_ms = sim_random(4) ? 20 : sim_random(3000),
				.loss = sim_random(3) ? 0 : sim_random(60),
			};
		}
		if (!sim_ask(group, &result))
			continue;
		sum += packets();
		assert_true(packets() <= options.attempts);
		for (size_t i = 0; i < 2; i++) {
			assert_true(sim_upstreams[i].udp <= VIGIE_ATTEMPTS_UPSTREAM);
			assert_true(sim_upstreams[i].tcp <= VIGIE_ATTEMPTS_UPSTREAM);
		}
	}
	print_message("# %d plans: %.2f packets a question\n", PLANS, (double)sum / PLANS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_of_two_stops, setup, teardown),
		cmocka_unit_test_setup_teardown(test_both_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loss_of_10_percent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loss_of_30_percent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tc_on_every_reply, setup, teardown),
		cmocka_unit_test_setup_teardown(test_amplification, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

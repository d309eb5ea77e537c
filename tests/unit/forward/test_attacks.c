/* Attacks by somebody who can send datagrams to the forwarder but does not see its queries, one test for each
 * class. tests/unit/forward/mutants.py takes each defence away and sees its test fail. */
#include <math.h>

#include "sim.h"
#include "ports.h"
#include "vigie/answer.h"
#include "vigie/clock.h"
#include "vigie/random.h"

enum { FORGED_MAX = 600 };

static struct vigie_forward_options options;
static struct vigie_upstreams *group;
static struct sim_result result;

static int setup(void **state)
{
	vigie_forward_options_init(&options);
	group = sim_new(1, &options);
	sim_upstreams[0].tcp_refuses = true;
	assert_true(sim_ask(group, &result)); /* the round trip is known */
	return 0;
}

static int teardown(void **state)
{
	sim_free(group);
	return 0;
}

static void expect_the_genuine_answer(void)
{
	sim_pass(5000);
	assert_true(result.done);
	assert_int_equal(result.status, VIGIE_OK);
	assert_int_equal(result.rcode, VIGIE_RCODE_NOERROR);
	assert_int_equal(result.reply[result.length - 12], 1); /* 192.0.2.1, before OPT */
}

/* A good reply with another address: what the forger wants to be taken. */
static size_t forge(const struct attempt *attempt, uint8_t *reply)
{
	static const struct sim_upstream forger;
	size_t length = sim_reply(attempt, &forger, reply);

	reply[length - 12] = 66;
	return length;
}

static size_t question_end(const struct attempt *attempt)
{
	return VIGIE_HEADER_SIZE + vigie_name_length(attempt->asked + VIGIE_HEADER_SIZE) + 4;
}

static bool forged(const uint8_t *reply, size_t length)
{
	return exchange_message(sim_attempt(0), reply, length);
}

/* Kaminsky 2008: other ids. */
static void test_another_id(void **state)
{
	uint8_t reply[FORGED_MAX];
	size_t length;

	assert_true(sim_start(group, &result));
	length = forge(sim_attempt(0), reply);
	for (unsigned i = 1; i < 65536; i++) {
		reply[0] = (uint8_t)(sim_attempt(0)->asked[0] ^ i >> 8);
		reply[1] = (uint8_t)(sim_attempt(0)->asked[1] ^ i);
		assert_false(forged(reply, length));
	}
	expect_the_genuine_answer();
}

/* 0x20: the right id, the name in the wrong letters. */
static void test_other_letters(void **state)
{
	uint8_t reply[FORGED_MAX];
	size_t length;

	assert_true(sim_start(group, &result));
	length = forge(sim_attempt(0), reply);
	for (size_t i = VIGIE_HEADER_SIZE; i < question_end(sim_attempt(0)) - 5; i++) {
		uint8_t letter = reply[i];

		if ((uint8_t)((letter | 0x20) - 'a') >= 26)
			continue;
		reply[i] ^= 0x20;
		assert_false(forged(reply, length));
		reply[i] = letter;
	}
	expect_the_genuine_answer();
}

/* DNSpooq, weak matching: another name, type or class under the right id. */
static void test_another_question(void **state)
{
	uint8_t reply[FORGED_MAX];
	size_t length;
	size_t end;

	assert_true(sim_start(group, &result));
	length = forge(sim_attempt(0), reply);
	end = question_end(sim_attempt(0));
	reply[13] = 'x';
	assert_false(forged(reply, length));
	reply[13] = sim_attempt(0)->asked[13];
	reply[end - 3] ^= 1;
	assert_false(forged(reply, length));
	reply[end - 3] ^= 1;
	reply[end - 1] ^= 2;
	assert_false(forged(reply, length));
	expect_the_genuine_answer();
}

/* TuDoor (CVE-2023-28452): one packet that is no reply must not end the wait. */
static void test_malformed_packets_end_nothing(void **state)
{
	uint8_t reply[FORGED_MAX];
	size_t length;
	unsigned kinds = 0;

	assert_true(sim_start(group, &result));
	length = forge(sim_attempt(0), reply);
	for (size_t cut = 0; cut < length; cut++, kinds++)
		assert_false(forged(reply, cut));         /* cut anywhere, with nothing else wrong */
	for (unsigned bit = 0; bit < 8; bit++, kinds++) { /* opcodes, QR; TC, AA, RD are no fault */
		if (bit > 2) {
			reply[2] ^= (uint8_t)(1 << bit);
			assert_false(forged(reply, length));
			reply[2] ^= (uint8_t)(1 << bit);
		}
	}
	for (size_t count = 4; count < VIGIE_HEADER_SIZE;
	     count += 2, kinds++) { /* counts that are too high */
		reply[count] ^= 0x40;
		assert_false(forged(reply, length));
		reply[count] ^= 0x40;
	}
	reply[length] = 0;
	assert_false(forged(reply, length + 1));
	assert_true(kinds > 30);
	expect_the_genuine_answer();
}

/* The first wrong id on the right path starts TCP, where nobody guesses. */
static void test_a_wrong_id_starts_tcp(void **state)
{
	uint8_t reply[FORGED_MAX];
	size_t length;

	sim_upstreams[0].tcp_refuses = false;
	sim_upstreams[0].dead = true;
	assert_true(sim_start(group, &result));
	sim_upstreams[0].dead = false;
	length = forge(sim_attempt(0), reply);
	reply[0] ^= 1;
	forged(reply, length);
	forged(reply, length);
	assert_int_equal(sim_upstreams[0].tcp, 1);
	sim_pass(60);
	assert_true(result.done && result.status == VIGIE_OK);
	assert_int_equal(sim_upstreams[0].tcp, 1);
}

/* CVE-2023-26437, CVE-2026-52690, CVE-2026-50251: what is forged changes nothing that is known of an
 * upstream. */
static void test_forged_packets_tell_nothing_of_an_upstream(void **state)
{
	struct health *health = &sim_upstream(group, 0)->health;
	struct health before = *health;
	uint8_t reply[FORGED_MAX];
	size_t length;

	sim_upstreams[0].tcp_refuses = false;
	assert_true(sim_start(group, &result));
	sim_pass(1);
	length = forge(sim_attempt(0), reply);
	reply[1] ^= 1;
	for (int i = 0; i < 10000; i++) {
		reply[2] = (uint8_t)sim_random(256);
		reply[3] = (uint8_t)sim_random(256);
		forged(reply, length);
	}
	/* The header of an old server that refuses EDNS, under the wrong id. */
	reply[2] = 0x80;
	reply[3] = VIGIE_RCODE_FORMERR;
	memset(reply + 4, 0, 8);
	forged(reply, VIGIE_HEADER_SIZE);
	assert_int_equal(health->srtt_us, before.srtt_us);
	assert_int_equal(health->timeout_us, before.timeout_us);
	assert_int_equal(health->lost, before.lost);
	assert_int_equal(health->truncated, before.truncated);
	assert_true(!health->open && health->plain_us == 0 && health->caseless_us == 0 &&
		    health->tcp_us == 0);
	expect_the_genuine_answer();
}

/* ICMP errors can be forged, too: three of them do not give an upstream up. */
static void test_forged_refusals_give_nobody_up(void **state)
{
	for (int i = 0; i < 100; i++) {
		assert_true(sim_start(group, &result));
		exchange_failed(sim_attempt(0), -111, "connection refused");
		expect_the_genuine_answer();
	}
	assert_false(sim_upstream(group, 0)->health.open);
}

/* Draws from the real source of random numbers, and a chi-square test whose cube root is as good as normal,
 * also with few cells (Wilson and Hilferty 1931): six sigma, p of 1e-9 on either side. */
static void expect_uniform(const unsigned *counts, size_t cells, unsigned draws)
{
	double expected = (double)draws / (double)cells;
	double chi = 0;
	double freedom = (double)cells - 1;
	double variance = 2 / (9 * freedom);

	for (size_t i = 0; i < cells; i++)
		chi += (counts[i] - expected) * (counts[i] - expected) / expected;
	assert_true(fabs(cbrt(chi / freedom) - (1 - variance)) < 6 * sqrt(variance));
}

/* Ids, ports and letters are all there is to guess: all of them are used, each as often as another. */
static void test_ids_ports_and_letters_are_uniform(void **state)
{
	enum { DRAWS = 200000 };
	static unsigned ids[256];
	static unsigned low[256];
	static unsigned ports[65536];
	static unsigned by_port[256];
	static unsigned letters[8];
	size_t distinct = 0;

	vigie_random_set(NULL);
	assert_true(ports_count() >= 60000);
	for (int i = 0; i < DRAWS; i++) {
		const uint8_t *name;
		uint16_t port = ports_draw();
		struct attempt *attempt;

		assert_true(port >= 1024 && (port < 30000 || port > 32767));
		ports[port]++;
		by_port[port % 256]++;
		if (i % 10)
			continue;
		assert_true(sim_start(group, &result));
		attempt = sim_attempt(0);
		ids[attempt->asked[0]]++;
		low[attempt->asked[1]]++;
		name = attempt->asked + VIGIE_HEADER_SIZE + 5; /* "example" */
		letters[(name[0] >> 5 & 1) | (name[1] >> 4 & 2) | (name[2] >> 3 & 4)]++;
		sim_pass(30);
	}
	expect_uniform(ids, 256, DRAWS / 10);
	expect_uniform(low, 256, DRAWS / 10);
	expect_uniform(letters, 8, DRAWS / 10);
	for (size_t i = 0; i < 65536; i++)
		distinct += ports[i] > 0;
	assert_true(distinct > 57000); /* of 61,744 nearly all came up in 200,000 draws */
	vigie_random_set(NULL);
}

static void test_reserved_ports_are_not_used(void **state)
{
	static uint16_t ports[65536];
	size_t count = ports_from_reserved(ports, "8080,10000-10999\n", false);

	assert_int_equal(count, 64512 - 2768 - 1001);
	for (size_t i = 0; i < count; i++)
		assert_true(ports[i] != 8080 && (ports[i] < 10000 || ports[i] > 10999));
	assert_int_equal(ports_from_reserved(ports, "", false), 64512 - 2768);
	assert_int_equal(ports_from_reserved(ports, "", true), 64512);
	assert_int_equal(ports_from_reserved(ports, "1-65535,99999999999999999999-1,-,x", true), 0);
}

/* 8 bits of id, no letters, the port known: so that a forger has chances that can be counted. */
static void random_of_8_bits(void *out, size_t length)
{
	uint8_t *bytes = out;

	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(length == 2 ? (i == 1 ? sim_random(256) : 0)
						 : (length == 32 ? 0 : sim_random(256)));
}

/* With entropy cut to 8 bits a forger's success is what theory says: nothing else of a reply is guessed more
 * easily than the id. */
static void test_chances_are_those_of_theory(void **state)
{
	enum { QUESTIONS = 20000, GUESSES = 16 };
	double p = 1 - pow(255.0 / 256, GUESSES);
	double sigma = sqrt(p * (1 - p) * QUESTIONS);
	unsigned taken = 0;

	vigie_random_set(random_of_8_bits);
	for (int i = 0; i < QUESTIONS; i++) {
		uint8_t reply[FORGED_MAX];
		size_t length;

		assert_true(sim_start(group, &result));
		length = forge(sim_attempt(0), reply);
		for (int guess = 0; guess < GUESSES && !result.done; guess++) {
			reply[1] = (uint8_t)sim_random(256);
			forged(reply, length);
		}
		taken += result.done;
		sim_pass(3000);
		assert_true(result.done && result.status == VIGIE_OK);
	}
	print_message("# 8 bits: %u of %d forged answers were taken; theory: %.0f +- %.0f\n", taken,
		      QUESTIONS, p * QUESTIONS, sigma);
	assert_true(fabs(taken - p * QUESTIONS) < 4 * sigma);
}

/* A thousand million forged datagrams at random ports and ids: none is taken, the genuine answer is. */
static void test_a_thousand_million_forged_datagrams(void **state)
{
	const uint64_t datagrams = getenv("FORGED") ? strtoull(getenv("FORGED"), NULL, 10) : 50000000;
	const uint64_t per_question = 1000000; /* in one round trip: 50 times what 1 Gb/s carries */
	size_t ports = ports_count();
	uint64_t state64 = 88172645463325252;
	uint64_t arrived = 0;

	for (uint64_t sent = 0; sent < datagrams; sent += per_question) {
		uint32_t port = sim_random((uint32_t)ports);
		uint8_t reply[FORGED_MAX];
		size_t length;

		assert_true(sim_start(group, &result));
		length = forge(sim_attempt(0), reply);
		for (uint64_t i = 0; i < per_question && !result.done; i++) {
			/* xorshift64: a forger's guesses need no better source. */
			state64 ^= state64 << 13;
			state64 ^= state64 >> 7;
			state64 ^= state64 << 17;
			if ((state64 >> 32) * ports >> 32 != port)
				continue; /* the kernel drops it */
			arrived++;
			reply[0] = (uint8_t)state64;
			reply[1] = (uint8_t)(state64 >> 8);
			for (size_t k = VIGIE_HEADER_SIZE; k < question_end(sim_attempt(0)) - 4; k++) {
				if ((uint8_t)((reply[k] | 0x20) - 'a') < 26 && sim_random(2))
					reply[k] ^= 0x20;
			}
			assert_false(forged(reply, length));
		}
		expect_the_genuine_answer();
	}
	print_message("# %llu forged datagrams, %llu at the right port: none was taken\n",
		      (unsigned long long)datagrams, (unsigned long long)arrived);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_another_id, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_letters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_question, setup, teardown),
		cmocka_unit_test_setup_teardown(test_malformed_packets_end_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_wrong_id_starts_tcp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forged_packets_tell_nothing_of_an_upstream, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_forged_refusals_give_nobody_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ids_ports_and_letters_are_uniform, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reserved_ports_are_not_used, setup, teardown),
		cmocka_unit_test_setup_teardown(test_chances_are_those_of_theory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_thousand_million_forged_datagrams, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Fair shares: simulated periods of a worker that can read or answer only so much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "../hash_key.h"
#include "fair.h"

enum {
	WORK = 10000, /* queries that a worker can read in a period; one that it drops counts, too */
	CLIENTS_MAX = 200,
	PERIODS = 50
};

struct clients {
	unsigned count;
	unsigned asks[CLIENTS_MAX]; /* queries that each sends in a period */
	unsigned answered[CLIENTS_MAX];
};

static int setup(void **state)
{
	fix_hash_key();
	return 0;
}

/* One period: the clients' queries come evenly mixed, as many as the worker gets to read; a client that has
 * had its share is the kernel's to drop. Returns whether some were left in the socket. */
static bool simulate(struct fair *fair, struct clients *clients)
{
	bool refused[CLIENTS_MAX] = {false};
	unsigned sent[CLIENTS_MAX] = {0};
	unsigned total = 0;
	unsigned work = 0;

	memset(clients->answered, 0, sizeof(clients->answered));
	for (unsigned i = 0; i < clients->count; i++)
		total += clients->asks[i];
	for (unsigned n = 1; n <= total; n++) {
		/* Those that are behind their part of what has come so far. */
		for (uint32_t i = 0; i < clients->count; i++) {
			if ((uint64_t)sent[i] * total >= (uint64_t)clients->asks[i] * n)
				continue;
			sent[i]++;
			if (refused[i])
				continue;
			if (work++ == WORK)
				return true;
			refused[i] = !fair_admit(fair, &i, sizeof(i));
			clients->answered[i] += !refused[i];
		}
	}
	return false;
}

static void run(struct fair *fair, struct clients *clients, unsigned periods)
{
	for (unsigned i = 0; i < periods; i++) {
		bool overflowed = simulate(fair, clients);

		fair_end_period(fair, overflowed);
	}
}

static unsigned sum(const struct clients *clients)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < clients->count; i++)
		sum += clients->answered[i];
	return sum;
}

/* A client that asks twenty times as much as each other loses queries, and they lose (nearly) none. */
static void test_a_greedy_client_starves_nobody(void **state)
{
	struct clients clients = {.count = 11, .asks = {20000}};
	unsigned answered[CLIENTS_MAX] = {0};
	struct fair fair;

	for (unsigned i = 1; i < clients.count; i++)
		clients.asks[i] = 800;
	fair_init(&fair);
	run(&fair, &clients, 1);
	assert_true(clients.answered[1] < 500); /* without limits all lose alike */
	run(&fair, &clients, 20);
	for (unsigned period = 0; period < PERIODS; period++) {
		run(&fair, &clients, 1);
		for (unsigned i = 0; i < clients.count; i++)
			answered[i] += clients.answered[i];
	}
	/* The limit swings around what the worker can do. */
	for (unsigned i = 1; i < clients.count; i++)
		assert_true(answered[i] >= PERIODS * 800 * 96 / 100);
	assert_true(answered[0] >= PERIODS * 800); /* and no less than they */
}

/* Clients that all ask for too much get their equal shares, and nothing is dropped that could be answered. */
static void test_equals_are_not_limited(void **state)
{
	struct clients clients = {.count = 50};
	struct fair fair;

	for (unsigned i = 0; i < clients.count; i++)
		clients.asks[i] = 600 + i % 7;
	fair_init(&fair);
	for (unsigned period = 0; period < 50; period++) {
		run(&fair, &clients, 1);
		assert_true(sum(&clients) >= WORK * 95 / 100);
	}
}

static void test_a_single_client_is_not_limited(void **state)
{
	struct clients clients = {.count = 1, .asks = {30000}};
	struct fair fair;

	fair_init(&fair);
	for (unsigned period = 0; period < 50; period++) {
		run(&fair, &clients, 1);
		assert_int_equal(sum(&clients), WORK);
	}
}

/* When the flood is over the limit goes. */
static void test_limits_end(void **state)
{
	struct clients clients = {.count = 2, .asks = {30000, 1000}};
	struct fair fair;

	fair_init(&fair);
	run(&fair, &clients, 20);
	assert_true(fair.limit != UINT32_MAX);
	clients.asks[0] = 2000;
	run(&fair, &clients, 20);
	assert_true(fair.limit == UINT32_MAX);
	assert_int_equal(sum(&clients), 3000);
}

/* Few are taken for the greedy one: in 2,000 periods some 40 of 20 others have a bucket with it, and with one
 * key of the hash in 25 one of them has both. */
static void test_sharing_a_bucket(void **state)
{
	struct fair fair;
	unsigned refused = 0;

	fair_init(&fair);
	for (int period = 0; period < 2000; period++) {
		const uint32_t greedy = 0;

		fair.limit = 100;
		for (int i = 0; i < 1000; i++)
			fair_admit(&fair, &greedy, sizeof(greedy));
		for (uint32_t other = 1; other <= 20; other++)
			refused += !fair_admit(&fair, &other, sizeof(other));
		fair_end_period(&fair, true);
	}
	assert_true(refused <= 3);
}

static void test_lengths_of_addresses(void **state)
{
	const uint8_t one[16] = {1};
	const uint8_t other[16] = {2};
	struct fair fair;

	fair_init(&fair);
	fair.limit = 1;
	assert_true(fair_admit(&fair, one, 16));
	assert_false(fair_admit(&fair, one, 16));
	assert_true(fair_admit(&fair, other, 16));
	assert_true(fair_admit(&fair, one, 4));
}

/* Who asks less often but for what costs more is the greedy one: it is limited, and those are not that only
 * ask often. */
static void test_costs_count(void **state)
{
	const uint8_t costly[4] = {1};
	const uint8_t cheap[4] = {2};
	const uint8_t third[4] = {3};
	struct fair fair;
	unsigned admitted[2] = {0};

	fair_init(&fair);
	for (int period = 0; period < 20; period++) {
		admitted[0] = admitted[1] = 0;
		for (int i = 0; i < 1000; i++) {
			admitted[0] += fair_admit(&fair, cheap, 4);
			fair_admit(&fair, third, 4);
			if (i % 2 == 0 && fair_admit(&fair, costly, 4)) {
				admitted[1]++;
				fair_charge(&fair, costly, 4, 20);
			}
		}
		fair_end_period(&fair, true);
	}
	assert_int_equal(admitted[0], 1000);
	assert_true(admitted[1] < 500);
}

/* Half a period of turns that end with queries left is an overflow; a burst is none. */
static void test_backlogs(void **state)
{
	struct backlog backlog = {0};
	uint64_t now = 1000000;

	for (int turn = 0; turn < 30; turn++, now += 1000)
		backlog_turn(&backlog, now, now + 1000, turn < 10);
	assert_false(backlog_end_period(&backlog));
	/* Between two turns the loop does other things: the queries wait then, too. */
	for (int turn = 0; turn < 26; turn++, now += 2000) {
		assert_false(backlog_lasts(&backlog));
		backlog_turn(&backlog, now, now + 1000, true);
	}
	assert_true(backlog_lasts(&backlog));
	backlog_turn(&backlog, now, now + 500, false);
	assert_false(backlog_lasts(&backlog));
	assert_true(backlog_end_period(&backlog));
	/* It does not last into the next period when the socket is read empty. */
	backlog_turn(&backlog, now + 90000, now + 90500, false);
	assert_false(backlog_end_period(&backlog));
	/* One that goes on does. */
	backlog_turn(&backlog, now + 99000, now + 100000, true);
	assert_false(backlog_end_period(&backlog));
	backlog_turn(&backlog, now + 199000, now + 200000, true);
	assert_true(backlog_end_period(&backlog));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backlogs),
		cmocka_unit_test(test_costs_count),
		cmocka_unit_test(test_a_greedy_client_starves_nobody),
		cmocka_unit_test(test_equals_are_not_limited),
		cmocka_unit_test(test_a_single_client_is_not_limited),
		cmocka_unit_test(test_limits_end),
		cmocka_unit_test(test_sharing_a_bucket),
		cmocka_unit_test(test_lengths_of_addresses),
	};

	return cmocka_run_group_tests_name("fair", tests, setup, NULL);
}

/* A batch of queries whose directive looks ahead: it is asked step by step, for all of them before any is
 * answered. */
#include "udp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <urcu-qsbr.h>
#include <cmocka.h>

#include "block.h"
#include "vigie/answer.h"
#include "vigie/hash.h"

enum { LEAST = 8 /* of a batch that is looked ahead at */ };

static struct worker *worker;
static struct udp_socket *server;
static int client = -1;
static struct listener listener;
static bool is_far;
static char notes[4096];

static void note(const char *what, unsigned number)
{
	size_t length = strlen(notes);

	snprintf(notes + length, sizeof(notes) - length, "%s%s%u", length ? " " : "", what, number);
}

/* What a query asks for is its number. */
static unsigned number_of(const struct vigie_query *query)
{
	return query->name.bytes[1] - 'a';
}

static bool far(const void *instance)
{
	return is_far;
}

/* At the first step a query says who it is, later its state does. */
static void ahead(const void *instance, unsigned step, const struct vigie_query *query, uint64_t *state)
{
	static const char *const steps[VIGIE_AHEAD_STEPS] = {"slot", "entry", "blob"};

	assert_int_equal(query != NULL, step == 0);
	if (query) {
		assert_int_equal(*state, 0);
		*state = 1 + number_of(query);
	}
	if (*state)
		note(steps[step], (unsigned)*state - 1);
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	note("serve", number_of(request->query));
	return VIGIE_DROP;
}

static const struct vigie_directive directive = {.name = "far", .serve = serve, .far = far, .ahead = ahead};
static struct link chain[] = {{.directive = &directive}};
static struct block block = {.chain = chain, .chain_count = 1};

/* Sends as many queries and has them answered; the one of this number is none. */
static void ask(unsigned count, unsigned broken)
{
	notes[0] = 0;
	for (unsigned i = 0; i < count; i++) {
		uint8_t query[VIGIE_UDP_SIZE_PLAIN];
		const uint8_t name[] = {1, (uint8_t)('a' + i), 0};
		size_t length = vigie_query_write(query, sizeof(query), 1, VIGIE_FLAG_RD, name, VIGIE_TYPE_A,
						  VIGIE_CLASS_IN, false, false);

		assert_int_equal(send(client, query, i == broken ? 3 : length, 0), i == broken ? 3 : length);
	}
	worker_enter(worker);
	udp_drain(server);
	worker_leave(worker);
}

/* Notes of queries 0 to `count` - 1, one for each of these words. */
static const char *all(unsigned count, unsigned broken, const char *const *words)
{
	static char expected[sizeof(notes)];

	notes[0] = 0;
	for (; *words; words++) {
		for (unsigned i = 0; i < count; i++) {
			if (i != broken)
				note(*words, i);
		}
	}
	strcpy(expected, notes);
	return expected;
}

static void expect(unsigned count, unsigned broken, const char *const *words)
{
	char heard[sizeof(notes)];

	ask(count, broken);
	strcpy(heard, notes);
	assert_string_equal(heard, all(count, broken, words));
}

static const char *const looked_ahead[] = {"slot", "entry", "blob", "serve", NULL};
static const char *const at_once[] = {"serve", NULL};

static void test_steps(void **state)
{
	is_far = true;
	expect(LEAST, UINT32_MAX, looked_ahead);
	expect(LEAST + 5, 3, looked_ahead); /* what is no query is passed over */
}

static void test_when_not(void **state)
{
	is_far = true;
	expect(LEAST - 1, UINT32_MAX, at_once);
	is_far = false;
	expect(LEAST, UINT32_MAX, at_once);
	is_far = true;
	listener.only = NULL; /* other blocks may be meant */
	ask(LEAST, UINT32_MAX);
	assert_null(strstr(notes, "slot"));
	listener.only = &block;
}

static int setup(void **state)
{
	struct vigie_error error;
	union address address;
	socklen_t size = sizeof(address);

	vigie_hash_init();
	rcu_register_thread();
	block_plan(&block);
	worker = worker_new(0);
	listener = (struct listener){.zones = zone_table_new(), .only = &block};
	if (!worker || !listener.zones || address_from_text(&listener.address, "127.0.0.1", 0) ||
	    udp_open(&server, &listener, &error))
		return -1;
	udp_attach(worker, server);
	client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return getsockname(server->fd, &address.any, &size) || connect(client, &address.any, size);
}

static int teardown(void **state)
{
	close(client);
	worker_free(worker);
	zone_table_free(listener.zones);
	rcu_unregister_thread();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_when_not),
	};

	return cmocka_run_group_tests_name("udp", tests, setup, teardown);
}

/* A TCP connection over loopback whose queries are suspended: the worker's loop turns in the test's thread.
 */
#include "tcp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include <cmocka.h>

#include "vigie/hash.h"

enum {
	QUERY_LENGTH = 2 + 12 + 5, /* a frame with a question for the root */
	MOST = 2 * VIGIE_TCP_PENDING_MAX
};

enum mode { ANSWER, SUSPEND, TAKE_BACK };

static struct worker *worker;
static struct listener listener;
static int client;
static enum mode mode;
static struct vigie_pending *pendings[MOST];
static size_t served;

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	struct vigie_pending *pending;

	assert_true(served < MOST); /* none is served twice */
	assert_int_equal(request->query->id, served);
	served++;
	if (mode == ANSWER)
		return VIGIE_ANSWERED;
	pending = vigie_request_suspend(request);
	assert_non_null(pending);
	if (mode == SUSPEND) {
		pendings[served - 1] = pending;
		return VIGIE_SUSPENDED;
	}
	vigie_request_cancel(request, pending);
	return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, NULL);
}

static enum vigie_verdict resumed(struct vigie_request *request, void *argument)
{
	return VIGIE_ANSWERED;
}

static void resume(size_t id)
{
	vigie_request_resume(&worker->base, pendings[id], resumed, NULL);
}

static void find_port(uv_handle_t *handle, void *argument)
{
	union address *address = argument;
	int length = sizeof(*address);

	if (uv_handle_get_type(handle) == UV_TCP)
		assert_int_equal(uv_tcp_getsockname((uv_tcp_t *)handle, &address->any, &length), 0);
}

static int setup(void **state)
{
	static const struct vigie_directive directive = {.name = "directive", .serve = serve};
	static struct link link = {&directive, NULL};
	static struct block block = {.chain = &link, .chain_count = 1};
	static struct vigie_key key;
	const struct vigie_key *first;
	struct vigie_error error;
	struct tcp_listener *opened = NULL;
	union address address;

	vigie_hash_init();
	rcu_register_thread();
	rcu_thread_offline();
	served = 0;
	mode = ANSWER;
	worker = worker_new(0);
	listener = (struct listener){.zones = zone_table_new()};
	if (!worker || !listener.zones || vigie_name_from_text(&key.zone, ".") ||
	    zone_table_add(listener.zones, &key, &block, &first) ||
	    address_from_text(&listener.address, "127.0.0.1", 0) || tcp_open(&opened, &listener, &error))
		return -1;
	tcp_attach(worker, opened);
	tcp_start(opened);
	uv_walk(&worker->loop, find_port, &address);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return client < 0 ? -1 : connect(client, &address.any, address_length(&address));
}

static void end_worker(void)
{
	if (worker)
		worker_free(worker);
	worker = NULL;
}

static int teardown(void **state)
{
	end_worker();
	close(client);
	zone_table_free(listener.zones);
	rcu_thread_online();
	rcu_unregister_thread();
	return 0;
}

/* Sends queries with the ids from `first` on, in one piece. */
static void ask(size_t first, size_t count)
{
	static uint8_t bytes[MOST * QUERY_LENGTH];

	for (size_t i = 0; i < count; i++) {
		uint8_t *query = bytes + i * QUERY_LENGTH;

		memcpy(query, "\0\x11\0\0\1\0\0\1\0\0\0\0\0\0\0\0\1\0\1", QUERY_LENGTH);
		query[2] = (uint8_t)((first + i) >> 8);
		query[3] = (uint8_t)(first + i);
	}
	assert_int_equal(send(client, bytes, count * QUERY_LENGTH, 0), count * QUERY_LENGTH);
}

static void turn_until_served(size_t count)
{
	while (served < count)
		assert_true(uv_run(&worker->loop, UV_RUN_ONCE));
	assert_int_equal(served, count);
}

/* The next answer's id; the loop turns until it is there. */
static unsigned receive(void)
{
	uint8_t answer[QUERY_LENGTH];
	size_t length = 0;

	while (length < sizeof(answer)) {
		ssize_t got = recv(client, answer + length, sizeof(answer) - length, MSG_DONTWAIT);

		assert_true(got > 0 || (got < 0 && errno == EAGAIN));
		if (got > 0)
			length += (size_t)got;
		else
			uv_run(&worker->loop, UV_RUN_NOWAIT);
	}
	return (unsigned)(answer[2] << 8 | answer[3]);
}

static void expect_silence(void)
{
	uint8_t byte;

	for (int i = 0; i < 10; i++)
		uv_run(&worker->loop, UV_RUN_NOWAIT);
	assert_int_equal(recv(client, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static void test_out_of_order(void **state)
{
	mode = SUSPEND;
	ask(0, 3);
	turn_until_served(3);
	mode = ANSWER;
	ask(3, 1);
	assert_int_equal(receive(), 3);
	resume(2);
	assert_int_equal(receive(), 2);
	resume(0);
	resume(1);
	assert_int_equal(receive(), 0);
	assert_int_equal(receive(), 1);
}

/* Reading stops at the limit of suspended queries; what came with them is served as others end. */
static void test_pause(void **state)
{
	mode = SUSPEND;
	ask(0, VIGIE_TCP_PENDING_MAX + 5);
	turn_until_served(VIGIE_TCP_PENDING_MAX);
	ask(VIGIE_TCP_PENDING_MAX + 5, 5);
	expect_silence();
	assert_int_equal(served, VIGIE_TCP_PENDING_MAX);
	resume(7);
	assert_int_equal(receive(), 7);
	assert_int_equal(served, VIGIE_TCP_PENDING_MAX + 1);
	mode = ANSWER;
	resume(8);
	assert_int_equal(receive(), 8);
	for (unsigned i = VIGIE_TCP_PENDING_MAX + 1; i < VIGIE_TCP_PENDING_MAX + 10; i++)
		assert_int_equal(receive(), i);
}

/* A suspension that is taken back while the connection goes on again: its query is served once. */
static void test_taken_back_after_pause(void **state)
{
	mode = SUSPEND;
	ask(0, VIGIE_TCP_PENDING_MAX + 3);
	turn_until_served(VIGIE_TCP_PENDING_MAX);
	mode = TAKE_BACK;
	resume(0);
	assert_int_equal(receive(), 0);
	for (unsigned i = VIGIE_TCP_PENDING_MAX; i < VIGIE_TCP_PENDING_MAX + 3; i++)
		assert_int_equal(receive(), i);
	assert_int_equal(served, VIGIE_TCP_PENDING_MAX + 3);
	mode = ANSWER;
	ask(VIGIE_TCP_PENDING_MAX + 3, 1); /* and it reads on */
	assert_int_equal(receive(), VIGIE_TCP_PENDING_MAX + 3);
}

/* The worker's end serves nothing more, though suspended queries end. */
static void test_end_while_paused(void **state)
{
	mode = SUSPEND;
	ask(0, VIGIE_TCP_PENDING_MAX + 3);
	turn_until_served(VIGIE_TCP_PENDING_MAX);
	end_worker();
	assert_int_equal(served, VIGIE_TCP_PENDING_MAX);
}

/* The client leaves; what it asked ends later. */
static void test_client_leaves(void **state)
{
	mode = SUSPEND;
	ask(0, VIGIE_TCP_PENDING_MAX + 3);
	turn_until_served(VIGIE_TCP_PENDING_MAX);
	resume(0); /* so that it is read again, and its end seen */
	turn_until_served(VIGIE_TCP_PENDING_MAX + 1);
	resume(1);
	resume(2);
	resume(3);
	shutdown(client, SHUT_RDWR);
	while (worker->connection_count > 0)
		assert_true(uv_run(&worker->loop, UV_RUN_ONCE));
	for (size_t i = 4; i < VIGIE_TCP_PENDING_MAX + 3; i++)
		resume(i);
	assert_int_equal(worker->suspended, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_out_of_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken_back_after_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_while_paused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_leaves, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

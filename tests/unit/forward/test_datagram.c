/* Sockets of queries by UDP, on real ones: ports are fresh and of the whole pool, and what comes for one
 * attempt is never read by another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "datagram.h"
#include "ports.h"

enum { TOGETHER = 50, ROUNDS = 80, PATIENCE_MS = 5000 };

static uv_loop_t loop;
static struct datagrams *datagrams;
static struct vigie_upstreams group;
static struct upstream_set set = {.group = &group};
static struct exchange exchange = {.set = &set};
static struct upstream upstream;
static int server;
static unsigned turns;
static const struct attempt *heard; /* the last one that a message came for */
static char message[64];
static unsigned messages;

/* What exchange.c does with them is its own tests' affair. */
bool exchange_message(struct attempt *attempt, const uint8_t *bytes, size_t length)
{
	heard = attempt;
	messages++;
	snprintf(message, sizeof(message), "%.*s", (int)length, (const char *)bytes);
	return true;
}

void exchange_failed(struct attempt *attempt, int error, const char *why)
{
	fail_msg("%s", why);
}

static void enter(void *argument)
{
	turns++;
}

static void leave(void *argument)
{
	turns--;
}

static int set_up(void **state)
{
	const struct vigie_turn turn = {.enter = enter, .leave = leave};
	struct sockaddr_in *address = (struct sockaddr_in *)&upstream.target.address;
	socklen_t length = sizeof(*address);

	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	server = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(server, (struct sockaddr *)address, length), 0);
	getsockname(server, (struct sockaddr *)address, &length);
	uv_loop_init(&loop);
	datagrams = datagrams_new(&loop, &turn);
	heard = NULL;
	messages = 0;
	return datagrams == NULL;
}

static int tear_down(void **state)
{
	datagrams_close(datagrams);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(turns, 0);
	close(server);
	return 0;
}

/* Sends an attempt's query; where it came from is what the server sees. */
static struct sockaddr_in ask(struct attempt *attempt)
{
	struct sockaddr_in from = {0};
	socklen_t length = sizeof(from);
	char byte;

	*attempt = (struct attempt){
		.exchange = &exchange, .upstream = &upstream, .asked_length = 1, .asked = "?"};
	assert_int_equal(datagram_send(datagrams, attempt), 0);
	do {
		uv_run(&loop, UV_RUN_NOWAIT);
	} while (recv(server, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0);
	assert_int_equal(recvfrom(server, &byte, 1, 0, (struct sockaddr *)&from, &length), 1);
	return from;
}

static void answer(const struct sockaddr_in *to, const char *text)
{
	assert_int_equal(sendto(server, text, strlen(text), 0, (const struct sockaddr *)to, sizeof(*to)),
			 strlen(text));
}

static void wait_for_message(void)
{
	struct pollfd poll_fd = {.fd = uv_backend_fd(&loop), .events = POLLIN};

	for (;;) {
		uv_run(&loop, UV_RUN_NOWAIT); /* the loop listens from then on */
		if (heard)
			return;
		assert_int_equal(poll(&poll_fd, 1, PATIENCE_MS), 1);
	}
}

/* Answers an attempt: that, and nothing before it, is heard. */
static void hear_own(struct attempt *attempt, const struct sockaddr_in *from)
{
	answer(from, "own");
	heard = NULL;
	wait_for_message();
	assert_string_equal(message, "own");
	datagram_drop(attempt);
}

static void test_replies(void **state)
{
	struct attempt attempts[TOGETHER];
	struct sockaddr_in from[TOGETHER];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < TOGETHER; i++)
			from[i] = ask(&attempts[i]);
		for (int i = 0; i < TOGETHER; i++) {
			char text[16];

			snprintf(text, sizeof(text), "%d", i);
			answer(&from[i], text);
			heard = NULL;
			wait_for_message();
			assert_ptr_equal(heard, &attempts[i]);
			assert_string_equal(message, text);
		}
		for (int i = 0; i < TOGETHER; i++)
			datagram_drop(&attempts[i]);
	}
}

/* Those of attempts at the same time differ, those one after another are no fewer than by chance, and all
 * parts of the pool have their share, whether the kernel or the pool chose. */
static void test_ports(void **state)
{
	enum { DRAWS = TOGETHER * ROUNDS };
	static unsigned seen[65536];
	unsigned distinct = 0;
	unsigned kernels = 0;
	unsigned low = 0;
	unsigned below = 0; /* of the pool's ports */
	double share = 0;

	for (unsigned port = 1024; port < 65536; port++) {
		share += ports_are_kernels((uint16_t)port);
		below += port < 30000;
	}
	share /= (double)ports_count();
	for (int round = 0; round < ROUNDS; round++) {
		static unsigned together[65536];
		struct attempt attempts[TOGETHER];

		for (int i = 0; i < TOGETHER; i++) {
			uint16_t port = ntohs(ask(&attempts[i]).sin_port);

			assert_true(port >= 1024 && (ports_count() > 61744 || port < 30000 || port > 32767));
			assert_true(together[port] != (unsigned)round + 1);
			together[port] = (unsigned)round + 1;
			distinct += seen[port]++ == 0;
			kernels += ports_are_kernels(port);
			low += port < 30000;
		}
		for (int i = 0; i < TOGETHER; i++)
			datagram_drop(&attempts[i]);
	}
	/* Each bound is 5 sigma away. */
	assert_true(fabs(kernels - DRAWS * share) <= 5 * sqrt(DRAWS * 0.25));
	assert_true(fabs(low - DRAWS * (double)below / (double)ports_count()) <= 5 * sqrt(DRAWS * 0.25));
	assert_true(DRAWS - distinct < 130 + 5 * 12); /* 4,000 of 61,744: 127 come twice */
}

/* A reply that nobody has read when its attempt ends, and one that comes later, are not the next one's. */
static void test_late_replies(void **state)
{
	for (int i = 0; i < 200; i++) {
		struct attempt first;
		struct attempt second;
		struct sockaddr_in from = ask(&first);
		struct sockaddr_in next;

		answer(&from, "unread");
		datagram_drop(&first);
		next = ask(&second);
		/* One port in 60,000 is the same again: then it is the second's. */
		if (next.sin_port != from.sin_port)
			answer(&from, "late");
		answer(&next, "own");
		heard = NULL;
		wait_for_message();
		assert_ptr_equal(heard, &second);
		assert_string_equal(message, "own");
		datagram_drop(&second);
	}
	assert_int_equal(messages, 200);
}

/* Somebody fills the socket: it is not used again. */
static void test_flooded_socket(void **state)
{
	for (int i = 0; i < 50; i++) {
		struct attempt attempt;
		struct sockaddr_in from = ask(&attempt);

		for (int k = 0; k < 100; k++)
			answer(&from, "flood");
		datagram_drop(&attempt);
		from = ask(&attempt);
		hear_own(&attempt, &from);
	}
	assert_int_equal(messages, 50);
}

/* A datagram from elsewhere does not come through a connected socket. */
static void test_foreign_datagrams(void **state)
{
	int foreign = socket(AF_INET, SOCK_DGRAM, 0);

	for (int i = 0; i < 50; i++) {
		struct attempt attempt;
		struct sockaddr_in from = ask(&attempt);

		sendto(foreign, "forged", 6, 0, (struct sockaddr *)&from, sizeof(from));
		hear_own(&attempt, &from);
	}
	assert_int_equal(messages, 50);
	close(foreign);
}

static void test_source_address(void **state)
{
	struct sockaddr_in *source = (struct sockaddr_in *)&group.options.source;

	*source = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK + 2)}};
	for (int i = 0; i < 50; i++) {
		struct attempt attempt;

		assert_int_equal(ask(&attempt).sin_addr.s_addr, source->sin_addr.s_addr);
		datagram_drop(&attempt);
	}
	source->sin_family = AF_UNSPEC;
}

/* RFC 9715 section 3.1: who forges ICMP does not make the kernel send fragments. */
static void test_no_path_mtu_is_learned(void **state)
{
	struct attempt attempt;
	struct sockaddr_in from = ask(&attempt);
	unsigned found = 0;

	for (int fd = 0; fd < 1024; fd++) {
		struct sockaddr_in own = {0};
		socklen_t length = sizeof(own);
		int discover = -1;

		if (getsockname(fd, (struct sockaddr *)&own, &length) || own.sin_port != from.sin_port)
			continue;
		length = sizeof(discover);
		assert_int_equal(getsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, &length), 0);
		assert_int_equal(discover, IP_PMTUDISC_OMIT);
		found++;
	}
	assert_int_equal(found, 1);
	datagram_drop(&attempt);
}

static void test_range_of_the_kernel(void **state)
{
	static const char *const bad[] = {
		"32767\t60999\n", "1023\t29999\n", "32768\t65536\n", "50000\t40000\n", "32768", "",
	};
	struct ports_range range = {.first = 7};

	assert_true(ports_range_read(&range, "32768\t60999\n"));
	assert_true(range.first == 32768 && range.last == 60999 && !range.node_ports);
	assert_true(ports_range_read(&range, "1024 29999"));
	/* With ports that the pool does not have its draws would not be the pool's. */
	assert_true(range.first == 1024 && range.last == 29999 && !range.node_ports);
	assert_true(ports_range_read(&range, "1024\t65535\n"));
	assert_true(range.first == 1024 && range.last == 65535 && range.node_ports);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(ports_range_read(&range, bad[i]));
	assert_true(range.first == 1024 && range.last == 65535);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_replies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ports, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_late_replies, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_flooded_socket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_foreign_datagrams, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_source_address, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_path_mtu_is_learned, set_up, tear_down),
		cmocka_unit_test(test_range_of_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

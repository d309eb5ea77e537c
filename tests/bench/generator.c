/* Asks a server as fast as it answers, or at a rate, and checks every answer. Prints one line of JSON
 * (tally.h).
 *
 *     generator [OPTIONS] FILE      FILE: the questions, see questions.h
 *
 *     -a ADDRESS  -p PORT           the server (127.0.0.1, 53)
 *     -s SECONDS                    how long to ask (1)
 *     -n COUNT                      ask so many queries and wait for their answers, however long it takes
 *     -c CLIENTS  -q IN_FLIGHT      sockets (64), and queries that each has under way at most (16)
 *     -r RATE                       queries a second in all; latency then counts from when each was due
 *     -b FIRST:COUNT                bind the sockets to 127.0.0.FIRST and so on, in turn
 *     -t                            by TCP
 *     -g                            UDP: several queries by one system call, to flood a server
 *     -w MS                         count the answers that took longer than this as slow, and wait for the
 * last ones: for as long as any other, 5 s instead of 1 s
 *     -l MS                         an answer that takes longer is lost (1000) */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

enum {
	EVENTS = 64,
	EXPIRE_NS = 50000000,
	MOMENT_NS = 100000,
	SLOW_PATIENCE_NS = 5000000000,
	BURST = 8 /* queries of one client at once when the rate is behind */
};

static struct run run = {
	.server = {.sin_family = AF_INET},
	.clients = 64,
	.in_flight = 16,
	.most = UINT64_MAX,
	.patience_ns = 1000000000,
};
static struct client clients[CLIENTS_MAX];

static void usage(void)
{
	fprintf(stderr,
		"usage: generator [-a ADDRESS] [-p PORT] [-s SECONDS | -n COUNT] [-c CLIENTS] [-q IN_FLIGHT] "
		"[-r RATE] [-b FIRST:COUNT] [-t] [-g] [-w MS] [-l MS] FILE\n");
	exit(2);
}

static double read_options(int argc, char **argv)
{
	const char *address = "127.0.0.1";
	double seconds = 1;
	int option;

	run.server.sin_port = htons(53);
	while ((option = getopt(argc, argv, "a:p:s:n:c:q:r:b:tgw:l:")) != -1) {
		switch (option) {
		case 'a':
			address = optarg;
			break;
		case 'p':
			run.server.sin_port = htons((uint16_t)atoi(optarg));
			break;
		case 's':
			seconds = atof(optarg);
			break;
		case 'n':
			run.most = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			run.clients = (unsigned)atoi(optarg);
			break;
		case 'q':
			run.in_flight = (unsigned)atoi(optarg);
			break;
		case 'r':
			run.rate = atof(optarg);
			break;
		case 'b':
			if (sscanf(optarg, "%u:%u", &run.first_address, &run.addresses) != 2)
				usage();
			break;
		case 't':
			run.tcp = true;
			break;
		case 'g':
			run.segments = true;
			break;
		case 'w':
			run.tally.slow_ns = (uint64_t)(atof(optarg) * 1e6);
			run.patience_ns = SLOW_PATIENCE_NS;
			break;
		case 'l':
			run.patience_ns = (uint64_t)(atof(optarg) * 1e6);
			break;
		default:
			usage();
		}
	}
	if (optind + 1 != argc || run.clients < 1 || run.clients > CLIENTS_MAX || run.in_flight < 1 ||
	    run.in_flight > IN_FLIGHT_MAX || inet_pton(AF_INET, address, &run.server.sin_addr) != 1)
		usage();
	questions_read(&run.questions, argv[optind]);
	return seconds;
}

/* Sends what is due, from one client after another. */
static void ask(uint64_t now)
{
	static unsigned next;
	double due = IN_FLIGHT_MAX * (double)CLIENTS_MAX;

	if (run.rate > 0)
		due = run.rate * (double)(now - run.start_ns) / 1e9 + 1 - (double)run.tally.asked;
	for (unsigned i = 0; i < run.clients && due >= 1; i++, next = (next + 1) % run.clients) {
		unsigned most = run.rate > 0 ? (due > BURST * BURST ? BURST : 1) : IN_FLIGHT_MAX;

		due -= run.tcp ? tcp_ask(&run, &clients[next], most) : udp_ask(&run, &clients[next], most);
	}
}

static void expire(uint64_t now)
{
	static uint64_t last;

	if (now - last < EXPIRE_NS || (run.most < UINT64_MAX && run.tally.slow_ns == 0))
		return;
	last = now;
	for (unsigned i = 0; i < run.clients; i++)
		client_expire(&run, &clients[i], now);
}

/* Times that the machine, not the server, made answers late. */
static void count_gap(uint64_t now)
{
	static uint64_t last;
	uint64_t gap = last > 0 ? now - last : 0;

	run.tally.gaps += gap > TALLY_GAP_NS;
	if (gap > run.tally.longest_gap_ns)
		run.tally.longest_gap_ns = gap;
	last = now;
}

/* With a rate it spins, so as not to be late; but not where the server shares the machine and what is late by
 * less than a millisecond is no matter. */
static int wait_for_events(int epoll, struct epoll_event *events)
{
	const struct timespec moment = {.tv_nsec = MOMENT_NS};

	if (run.tally.slow_ns > 0)
		return epoll_pwait2(epoll, events, EVENTS, &moment, NULL);
	return epoll_wait(epoll, events, EVENTS, run.rate > 0 ? 0 : 1);
}

/* Until the end, or until all that was asked has an answer or is given up. */
static bool goes_on(uint64_t now, uint64_t end)
{
	if (now >= end)
		return run.tally.slow_ns > 0 && run.tally.answered + run.tally.lost < run.tally.asked;
	return run.tally.answered + run.tally.lost < run.most;
}

int main(int argc, char **argv)
{
	double seconds = read_options(argc, argv);
	struct epoll_event events[EVENTS];
	int epoll = epoll_create1(0);
	uint64_t end;
	uint64_t now;

	for (unsigned i = 0; i < run.clients; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};

		if (run.tcp)
			tcp_open(&run, &clients[i], i);
		else
			udp_open(&run, &clients[i], i);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event)) {
			perror("generator: epoll");
			return 1;
		}
	}
	run.start_ns = now_ns();
	run.serial = (uint32_t)(run.start_ns >> 8); /* other runs have asked for other names */
	end = run.most < UINT64_MAX ? UINT64_MAX : run.start_ns + (uint64_t)(seconds * 1e9);
	while (goes_on(now = now_ns(), end)) {
		int ready;

		count_gap(now);
		if (now < end)
			ask(now);
		ready = wait_for_events(epoll, events);
		for (int i = 0; i < ready; i++) {
			struct client *client = &clients[events[i].data.u32];

			if (run.tcp)
				tcp_read(&run, client);
			else
				udp_read(&run, client);
		}
		expire(now);
	}
	tally_print(&run.tally, (double)(now - run.start_ns) / 1e9);
	return 0;
}

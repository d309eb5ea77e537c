/* The name server behind vigie when faults are measured: answers by UDP and TCP after a while, or not at all,
 * or forges.
 *
 *     upstream [OPTIONS] PORT       on 127.0.0.1
 *
 *     -d MS       answer after so many milliseconds (0)
 *     -l TTL      of the one A record that each name has (60)
 *     -t          TC and no record in all answers by UDP
 *     -f COUNT    before the answer to each query by UDP send so many forged ones to the port that asked
 *     -o COUNT    and so many to random ports. Forged answers have two records, a random id, random letters
 *     -x NAME     count queries for this name and those below as forbidden; may be given again
 *
 * It reads commands, a line each: "silent" and "speak" stop answers and start them again. After each it
 * prints what it has counted so far, one line of JSON; other lines do nothing but that. At the end of its
 * input it ends. */
#include "upstream.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS = 64,
	BURST = 64,
	SILENT_WAIT_MS = 1000,
	TAG_INPUT = 0xffff,
	TAG_UDP = 0xfffe,
	TAG_LISTENER = 0xfffd
};

static struct upstream upstream = {.ttl = 60};

uint64_t upstream_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(int fd, uint32_t tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};

	if (epoll_ctl(upstream.epoll, EPOLL_CTL_ADD, fd, &event))
		die("upstream: epoll");
}

static int listen_at(uint16_t port, int type)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int size = 4 << 20;
	int yes = 1;
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    (type == SOCK_STREAM && listen(fd, 128)))
		die("upstream: socket");
	return fd;
}

/* Answers whose time has come: the oldest are due first, since all wait equally long. */
static void send_due(uint64_t now)
{
	while (upstream.first != upstream.last) {
		struct answer *answer = &upstream.ring[upstream.first % RING];

		if (answer->due_ns > now)
			return;
		upstream.first++;
		if (upstream.silent)
			continue;
		if (answer->connection >= 0)
			stream_send(&upstream, answer);
		else
			sendto(upstream.udp, answer->bytes, answer->length, 0,
			       (struct sockaddr *)&answer->client, sizeof(answer->client));
	}
}

static void read_udp(void)
{
	for (int i = 0; i < BURST; i++) {
		uint8_t query[QUERY_MOST];
		struct sockaddr_in client;
		socklen_t size = sizeof(client);
		ssize_t got =
			recvfrom(upstream.udp, query, sizeof(query), 0, (struct sockaddr *)&client, &size);

		if (got < 0)
			return;
		upstream.counts.udp++;
		answer_query(&upstream, query, (size_t)got, &client, -1);
	}
}

static void print_counts(void)
{
	const struct counts *counts = &upstream.counts;

	printf("{\"udp\": %lu, \"tcp\": %lu, \"probes\": %lu, \"forbidden\": %lu, \"forged\": %lu, "
	       "\"connections\": %lu, \"deepest\": %lu}\n",
	       counts->udp, counts->tcp, counts->probes, counts->forbidden, counts->forged,
	       counts->connections, counts->deepest);
	fflush(stdout);
}

/* False at the end of the input. */
static bool read_commands(void)
{
	static char line[64];
	static size_t used;
	ssize_t got = read(STDIN_FILENO, line + used, sizeof(line) - 1 - used);
	char *end;

	if (got <= 0)
		return false;
	used += (size_t)got;
	line[used] = 0;
	while ((end = strchr(line, '\n'))) {
		*end = 0;
		if (strcmp(line, "silent") == 0)
			upstream.silent = true;
		else if (strcmp(line, "speak") == 0)
			upstream.silent = false;
		print_counts();
		used -= (size_t)(end + 1 - line);
		memmove(line, end + 1, used + 1);
	}
	return true;
}

static void read_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "d:l:tf:o:x:")) != -1) {
		switch (option) {
		case 'd':
			upstream.delay_ns = (uint64_t)(atof(optarg) * 1e6);
			break;
		case 'l':
			upstream.ttl = (uint32_t)atoi(optarg);
			break;
		case 't':
			upstream.truncates = true;
			break;
		case 'f':
			upstream.forged_there = (unsigned)atoi(optarg);
			break;
		case 'o':
			upstream.forged_elsewhere = (unsigned)atoi(optarg);
			break;
		case 'x':
			if (!forbid(&upstream, optarg)) {
				fprintf(stderr, "upstream: '%s' cannot be forbidden\n", optarg);
				exit(2);
			}
			break;
		default:
			exit(2);
		}
	}
	if (optind + 1 != argc) {
		fprintf(stderr,
			"usage: upstream [-d MS] [-l TTL] [-t] [-f COUNT] [-o COUNT] [-x NAME]... PORT\n");
		exit(2);
	}
}

static int wait_ms(uint64_t now)
{
	uint64_t due;

	if (upstream.first == upstream.last)
		return SILENT_WAIT_MS;
	due = upstream.ring[upstream.first % RING].due_ns;
	return due > now ? (int)((due - now + 999999) / 1000000) : 0;
}

int main(int argc, char **argv)
{
	uint16_t port;

	read_options(argc, argv);
	port = (uint16_t)atoi(argv[optind]);
	upstream.epoll = epoll_create1(0);
	upstream.udp = listen_at(port, SOCK_DGRAM);
	upstream.listener = listen_at(port, SOCK_STREAM);
	watch(upstream.udp, TAG_UDP);
	watch(upstream.listener, TAG_LISTENER);
	watch(STDIN_FILENO, TAG_INPUT);
	print_counts();
	for (;;) {
		struct epoll_event events[EVENTS];
		int ready = epoll_wait(upstream.epoll, events, EVENTS, wait_ms(upstream_now_ns()));

		for (int i = 0; i < ready; i++) {
			switch (events[i].data.u32) {
			case TAG_INPUT:
				if (!read_commands())
					return 0;
				break;
			case TAG_UDP:
				read_udp();
				break;
			case TAG_LISTENER:
				stream_accept(&upstream);
				break;
			default:
				stream_read(&upstream, (int)events[i].data.u32);
			}
		}
		send_due(upstream_now_ns());
	}
}

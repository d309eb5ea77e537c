/* The parts of the upstream: the program (upstream.c), what it answers (upstream_answer.c), TCP
 * (upstream_tcp.c). */
#ifndef BENCH_UPSTREAM_H
#define BENCH_UPSTREAM_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	QUERY_MOST = 1024,
	ANSWER_MOST = 512,
	RING = 1 << 16, /* answers that wait */
	CONNECTIONS = 256,
	STREAM_MOST = 1 << 16,
	FORBIDDEN_MOST = 8
};

struct answer {
	uint64_t due_ns;
	struct sockaddr_in client;
	int connection;  /* -1: UDP */
	uint32_t serial; /* of the connection: it may have closed meanwhile */
	uint16_t length;
	uint8_t bytes[ANSWER_MOST];
};

struct connection {
	int fd; /* 0: none */
	uint32_t serial;
	uint32_t waiting; /* queries without an answer */
	size_t used;
	uint8_t in[STREAM_MOST];
};

struct counts {
	unsigned long udp;
	unsigned long tcp;
	unsigned long probes; /* queries for the root */
	unsigned long forbidden;
	unsigned long forged;
	unsigned long connections;
	unsigned long deepest; /* queries that waited on one connection at a time */
};

struct upstream {
	int epoll;
	int udp;
	int listener;
	bool silent;
	bool truncates;
	uint32_t ttl;
	uint64_t delay_ns;
	unsigned forged_there;
	unsigned forged_elsewhere;
	struct counts counts;
	unsigned forbidden_count;
	uint8_t forbidden[FORBIDDEN_MOST][256]; /* wire names in lower case */
	size_t forbidden_length[FORBIDDEN_MOST];
	uint64_t first; /* of the ring */
	uint64_t last;
	struct answer ring[RING];
	struct connection connections[CONNECTIONS];
};

uint64_t upstream_now_ns(void);

/* Adds a name to those that nobody should ask for. */
bool forbid(struct upstream *upstream, const char *name);

/* Counts a query and queues the answer to it. */
void answer_query(struct upstream *upstream, const uint8_t *query, size_t length,
		  const struct sockaddr_in *client, int connection);

void stream_accept(struct upstream *upstream);
void stream_read(struct upstream *upstream, int connection);
void stream_send(struct upstream *upstream, const struct answer *answer);

#endif

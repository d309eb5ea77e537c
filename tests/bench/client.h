/* A client of the server: one socket, and the queries that it has under way. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <netinet/in.h>

#include "questions.h"
#include "tally.h"

enum {
	CLIENTS_MAX = 4096,
	IN_FLIGHT_MAX = 64,   /* queries under way on one socket: a bit each */
	STREAM_BUFFER = 65536 /* bytes read or written at once by TCP */
};

struct flight {
	uint64_t sent_ns; /* when it was sent, or was to be sent */
	const struct question *question;
	uint32_t serial;
	uint16_t id; /* the slot, and above it a number that changes each time */
};

/* Bytes of a TCP connection that are not written, or not whole messages yet. */
struct stream {
	size_t unwritten;
	size_t unread;
	uint8_t out[STREAM_BUFFER];
	uint8_t in[STREAM_BUFFER];
};

struct run {
	struct questions questions;
	struct tally tally;
	struct sockaddr_in server;
	unsigned clients;
	unsigned in_flight; /* of each client */
	unsigned addresses; /* 127.0.0.FIRST and following that clients are bound to, in turn; 0: not bound */
	unsigned first_address;
	uint64_t most;        /* queries in all */
	double rate;          /* queries a second; 0: as fast as answers come */
	uint64_t patience_ns; /* after which a query is given up */
	bool tcp;
	bool segments; /* UDP: several queries of one length by one system call (UDP_SEGMENT) */
	uint64_t start_ns;
	uint32_t serial; /* of the next query */
	size_t next;     /* question */
};

struct client {
	int fd;
	uint64_t busy; /* a bit for each slot */
	struct flight flights[IN_FLIGHT_MAX];
	struct stream *stream; /* TCP */
};

/* Takes a free slot and writes a query; 0 when none is free or no more are to be asked. */
size_t client_take(struct run *run, struct client *client, uint64_t now, uint8_t *packet);

/* Takes the newest query back: it could not be sent. */
void client_untake(struct run *run, struct client *client, const uint8_t *packet);

/* Counts an answer. */
void client_answer(struct run *run, struct client *client, const uint8_t *answer, size_t length,
		   uint64_t now);

/* Gives up queries that have waited too long. */
void client_expire(struct run *run, struct client *client, uint64_t now);

/* Opens the client's socket; ends the program when it cannot. */
void udp_open(const struct run *run, struct client *client, unsigned index);
void tcp_open(const struct run *run, struct client *client, unsigned index);

/* Sends at most `most` queries and returns how many it sent. */
unsigned udp_ask(struct run *run, struct client *client, unsigned most);
unsigned tcp_ask(struct run *run, struct client *client, unsigned most);

/* Reads what is there. */
void udp_read(struct run *run, struct client *client);
void tcp_read(struct run *run, struct client *client);

/* Gives a socket its own address, when the run says so. */
void client_bind(const struct run *run, int fd, unsigned index);

#endif

/* A query in flight: where it came from, which block it is in, and how far it went along the chain. */
#ifndef VIGIE_SERVER_FLIGHT_H
#define VIGIE_SERVER_FLIGHT_H

#include "worker.h"

struct connection;
struct udp_socket;

/* Where the answer goes. */
struct origin {
	const struct listener *listener;
	struct udp_socket *udp;        /* VIGIE_CHANNEL_UDP */
	struct connection *connection; /* VIGIE_CHANNEL_TCP; NULL in a suspended request when it has closed */
	union address client;
	union address local;
};

struct flight {
	struct vigie_request request; /* first: a directive's request is the flight */
	struct vigie_query query;
	struct vigie_answer answer;
	struct origin origin;
	const struct block *block;
	size_t first;                    /* the first link that has a part in it: not 0 behind a `pass` */
	size_t position;                 /* the link of the chain that is served */
	bool inner;                      /* asked by another request: its end is told there */
	struct vigie_pending *suspended; /* set when a directive suspended it */
};

/* Prepares a flight for a packet that passed the gate: `flight->query` is parsed, `flight->origin` filled in.
 * The answer will be written to `buffer`. */
void flight_begin(struct flight *flight, struct worker *worker, enum vigie_channel channel, uint8_t *buffer,
		  size_t limit);

/* Finds the block and walks its chain. True: the answer is ready to be ended and sent. False: nothing is to
 * be sent now. */
bool flight_run(struct flight *flight);

/* Bytes that an answer may have: by UDP what the client takes, at most VIGIE_UDP_SIZE_EDNS. */
size_t flight_limit(const struct vigie_query *query, enum vigie_channel channel);

/* The connection is closing: its suspended queries lose their way back. */
void flight_forget_connection(struct worker *worker, struct connection *connection);

/* Whether a suspended query is in a block of another process than this: of the generation before. */
bool flight_is_used(const struct worker *worker, const struct vigie_process *process);

/* Frees what is suspended, without an answer: the worker's end. */
void flight_abandon(struct worker *worker);

extern const struct vigie_request_ops flight_ops;

#endif

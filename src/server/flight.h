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
	size_t limit; /* bytes that the records may fill when it is sent: until then the answer may be longer
		       */
	size_t first; /* the first link that has a part in it: not 0 behind a `pass` */
	size_t position;                 /* the link of the chain that is served */
	unsigned passed;                 /* queries that passed the gate and are not counted yet */
	bool inner;                      /* asked by another request: its end is told there */
	struct vigie_pending *suspended; /* set when a directive suspended it */
};

/* Prepares a flight for queries that come one after another in one batch, by one channel: `flight->origin` is
 * filled in, but for its addresses, which each query has of its own. */
void flight_open(struct flight *flight, struct worker *worker, enum vigie_channel channel);

/* Prepares an open flight for the next query, which `flight->query` holds already. The answer will be written
 * to `buffer`, at most `limit` bytes. */
void flight_begin(struct flight *flight, uint8_t *buffer, size_t limit);

/* Finds the block and walks its chain. True: the answer is ready to be ended and sent. False: nothing is to
 * be sent now. */
bool flight_run(struct flight *flight);

/* All of that for a packet of a client, in an open flight, the gate's refusals included. `channel` is
 * the one that it was opened for, a constant where this is called; `buffer` holds what the channel may take.
 * Returns the answer's length; 0 when nothing is to be sent now. */
size_t flight_answer(struct flight *flight, enum vigie_channel channel, const uint8_t *packet, size_t length,
		     uint8_t *buffer);

/* Counts what passed the gate since the flight was opened: once for a batch, before its answers are sent. */
void flight_count(struct flight *flight, enum vigie_channel channel);

/* The connection is closing: its suspended queries lose their way back. */
void flight_forget_connection(struct worker *worker, struct connection *connection);

/* Whether a suspended query is in a block of another process than this: of the generation before. */
bool flight_is_used(const struct worker *worker, const struct vigie_process *process);

/* Frees what is suspended, without an answer: the worker's end. */
void flight_abandon(struct worker *worker);

/* The rest of the chain without the client: struct vigie_request_ops (await.c). */
bool await_background(struct vigie_request *request);
enum vigie_verdict await_rest(struct vigie_request *request, uint32_t timeout_ms, vigie_lookup_done *done,
			      void *argument);
void await_init(struct worker *worker);
void await_close(struct worker *worker);

extern const struct vigie_request_ops flight_ops;

#endif

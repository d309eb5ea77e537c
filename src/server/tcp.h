/* DNS over TCP (RFC 7766) and TLS (RFC 7858): pipelined queries, answers in any order, bounded in
 * connections, bytes and time.
 */
#ifndef VIGIE_SERVER_TCP_H
#define VIGIE_SERVER_TCP_H

#include "worker.h"

struct connection;
struct listeners;

/* Opens, binds and listens, and puts it in front of a list; VIGIE_EIO with the address in `error`. */
enum vigie_status tcp_open(struct tcp_listener **list, const struct listener *listener,
			   struct vigie_error *error);

/* Frees a listener that no worker has. */
void tcp_discard(struct tcp_listener *listener);

/* Gives a listener to a worker: before its thread starts, or in it. */
void tcp_attach(struct worker *worker, struct tcp_listener *listener);

/* Starts accepting, in the worker's thread. */
void tcp_start(struct tcp_listener *listener);

/* Stops accepting; the memory goes when the loop has closed the handle. */
void tcp_close(struct tcp_listener *listener);
struct tcp_listener *tcp_next(const struct tcp_listener *listener);
struct tcp_listener **tcp_next_place(struct tcp_listener *listener);

/* What it serves. */
const struct listener *tcp_listener_of(const struct tcp_listener *listener);
void tcp_set_listener(struct tcp_listener *tcp, const struct listener *listener);

/* Sends one answer, of a query that was suspended. */
void tcp_send(struct connection *connection, const uint8_t *answer, size_t length);

/* Sends the messages that a source (owned from here on) gives, one after another as the client reads them.
 * Nothing else is served on the connection meanwhile. */
void tcp_stream(struct connection *connection, struct vigie_stream *source, const struct vigie_query *query);

/* A query of the connection was suspended (1), or a suspended one has ended (-1). */
void tcp_connection_suspended(struct connection *connection, int change);

/* Closes what is idle for too long. */
void tcp_tick(struct worker *worker);

/* Gives the connections whose address is listened on by one of these their new listener. */
void tcp_rebind_connections(struct worker *worker, const struct listeners *listeners);

/* Closes the connections with nothing under way whose listener is none of these. False when something is left
 * that the generation before may be needed for.
 */
bool tcp_close_retired(struct worker *worker, const struct listeners *listeners);

/* Closes all connections: those with nothing under way, or every one. */
void tcp_close_connections(struct worker *worker, bool every);

#endif

/* DNS over TCP (RFC 7766) and TLS (RFC 7858): pipelined queries, answers in any order, bounded in
 * connections, bytes and time.
 */
#ifndef VIGIE_SERVER_TCP_H
#define VIGIE_SERVER_TCP_H

#include "worker.h"

struct connection;

/* Opens, binds and listens; VIGIE_EIO with the address in `error`. The worker owns the listener. */
enum vigie_status tcp_open(struct worker *worker, const struct listener *listener, struct vigie_error *error);

/* Starts accepting, in the worker's thread. */
void tcp_start(struct tcp_listener *listener);

/* Stops accepting; the memory goes when the loop has closed the handle. */
void tcp_close(struct tcp_listener *listener);
struct tcp_listener *tcp_next(const struct tcp_listener *listener);

/* Sends one answer, of a query that was suspended. */
void tcp_send(struct connection *connection, const uint8_t *answer, size_t length);

/* Sends the messages that a source (owned from here on) gives, one after another as the client reads them.
 * Nothing else is served on the connection meanwhile. */
void tcp_stream(struct connection *connection, struct vigie_stream *source, const struct vigie_query *query);

/* A query of the connection was suspended (1), or a suspended one has ended (-1). */
void tcp_connection_suspended(struct connection *connection, int change);

/* Closes what is idle for too long. */
void tcp_tick(struct worker *worker);

/* Closes all connections: those with nothing under way, or every one. */
void tcp_close_connections(struct worker *worker, bool every);

#endif

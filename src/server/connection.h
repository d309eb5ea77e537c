/* One TCP or TLS connection: framing, limits, and what is on its way in both directions. */
#ifndef VIGIE_SERVER_CONNECTION_H
#define VIGIE_SERVER_CONNECTION_H

#include "flight.h"
#include "vigie/buffer.h"
#include "vigie/tls.h"

enum {
	FRAME_HEADER = 2, /* a message's length stands before it (RFC 1035 section 4.2.2) */
	FRAME_MAX = FRAME_HEADER + VIGIE_MESSAGE_MAX,
	READ_MAX = 65536, /* bytes of one read */
	UNSENT_PAUSE =
		65536 /* bytes of unread answers of a connection that stop the reading of its queries */
};

struct stream;

struct connection {
	struct connection *next;
	struct connection *previous;
	struct worker *worker;
	struct origin origin; /* of each of its queries */
	uv_tcp_t handle;
	uv_shutdown_t shutdown;
	struct vigie_tls_session *tls; /* owned; NULL: plain TCP */
	struct vigie_buffer in;        /* the beginning of a query whose end has not come; usually empty */
	struct vigie_buffer out;       /* answers that are not handed to the kernel yet */
	size_t unsent;                 /* bytes that the kernel has not taken */
	unsigned pending;              /* suspended queries */
	unsigned queries;              /* served so far */
	struct stream *stream;         /* an answer of many messages that is being sent; NULL: none */
	uint64_t active_ms;            /* when a whole query came, or the client read something */
	bool paused;                   /* nothing is read: too much is pending or unsent */
	bool gathering;                /* answers are collected, to be sent together */
	bool ending; /* it had all the queries that it may have: when they are answered, our side is shut */
	bool shut;   /* it is: what the client still says is read and dropped, until it closes, too */
	bool closing;
};

/* Accepts a connection that waits at `from` and adds it to the worker's. NULL on failure. */
struct connection *connection_new(struct worker *worker, const struct listener *listener, uv_stream_t *from);

/* Begins to read. */
void connection_read(struct connection *connection);

/* Lets the worker forget it; the memory goes when the loop has closed the handle. */
void connection_close(struct connection *connection);

/* Hands what is collected in `out` to the kernel, or to the loop where the kernel would not take it. */
void connection_flush(struct connection *connection);

/* Sends what TLS has to say of itself. */
void connection_flush_tls(struct connection *connection);

/* The kernel has taken all; or the answers of suspended queries are gone: goes on with what waited for that.
 */
void connection_go_on(struct connection *connection);

#endif

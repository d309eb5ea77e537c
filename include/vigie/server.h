/* The DNS server: listeners, workers, and the server blocks of one configuration. */
#ifndef VIGIE_SERVER_H
#define VIGIE_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "vigie/corefile.h"
#include "vigie/status.h"

enum {
	/* UDP */
	VIGIE_UDP_BATCH = 64,       /* packets of one recvmmsg or sendmmsg */
	VIGIE_UDP_QUERY_MAX = 1536, /* bytes of a query by UDP; a longer one is cut and so a format error */
	VIGIE_UDP_RECEIVE_BUFFER = 4 << 20, /* asked of the kernel for each socket; it may give less */
	/* TCP */
	VIGIE_TCP_IDLE_MS = 10000, /* without a whole query, or with answers that are not read: closed */
	VIGIE_TCP_CONNECTIONS_MAX = 2048, /* of one worker; beyond it the one idle for longest is closed */
	VIGIE_TCP_CLIENT_CONNECTIONS_MAX =
		256, /* of one client address in one worker; further ones are closed */
	VIGIE_TCP_CLIENT_BYTES_MAX =
		4 << 20, /* of unread answers of one client address: its slow reader is cut off */
	VIGIE_TCP_PENDING_MAX =
		128, /* suspended queries of one connection; reading stops until some are answered */
	VIGIE_TCP_BACKLOG = 511,
	/* Any */
	VIGIE_SUSPENDED_MAX = 8192, /* suspended queries of one worker; further ones are SERVFAIL */
	VIGIE_DRAIN_MS = 2000 /* the most that stopping waits for suspended queries and open connections */
};

struct vigie_server;

/* Sets the blocks of a Corefile up: reads the directives' options, finds out who listens where. Nothing is
 * opened yet. `corefile` and its arena must outlive the server. NULL and `error` set on failure. */
struct vigie_server *vigie_server_new(uv_loop_t *loop, const struct vigie_corefile *corefile,
				      struct vigie_error *error);

/* Binds all sockets and starts the directives. Answering begins as soon as every directive is ready, or after
 * the longest startup_timeout; queries that come before wait in their sockets. Failure leaves nothing
 * running. */
enum vigie_status vigie_server_start(struct vigie_server *server, struct vigie_error *error);

/* Says what vigie_server_reload reads: the path is borrowed, the port is that of keys without one. */
void vigie_server_set_source(struct vigie_server *server, const char *path, uint16_t port);

/* The end of a reload: `trouble` is why the configuration was refused and the one before goes on, NULL when
 * it was taken or had not changed. Valid during the call. */
typedef void vigie_reload_done(void *argument, const char *trouble);

/* Reads the Corefile again, makes it ready beside the one that answers, and puts it in its place; with
 * `only_changed` when its words are others. No query is lost. `done` may be NULL; it may be called before
 * this returns. */
void vigie_server_reload(struct vigie_server *server, bool only_changed, vigie_reload_done *done,
			 void *argument);

/* Begins the end: lame duck (health stays up, ready goes down), then the sockets' queues are read out and
 * answered, suspended queries get VIGIE_DRAIN_MS, and `done` is called. A second call does nothing. */
void vigie_server_drain(struct vigie_server *server, void (*done)(void *argument), void *argument);

/* Writes the lines "ZONE:PORT" of everything served to standard output. */
void vigie_server_print(const struct vigie_server *server);

/* After `done` of vigie_server_drain, or without a successful start. */
void vigie_server_free(struct vigie_server *server);

#endif

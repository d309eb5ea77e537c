/* The HTTP endpoints (health, ready, metrics): libmicrohttpd on the main loop. A slow or hostile client
 * costs DNS nothing: nothing here is shared with a worker. */
#ifndef VIGIE_HTTP_H
#define VIGIE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "vigie/buffer.h"
#include "vigie/status.h"

enum {
	VIGIE_HTTP_CONNECTIONS_MAX = 64, /* of one listener; a further one ends the oldest */
	VIGIE_HTTP_IDLE_SECONDS = 10,
	VIGIE_HTTP_BODY_MAX = 64 << 20 /* bytes of a response */
};

struct vigie_http_response {
	struct vigie_buffer body; /* empty when the handler is called; at most VIGIE_HTTP_BODY_MAX bytes */
	const char *type;         /* static storage; plain text in UTF-8 when the handler is called */
};

/* Writes the response and returns the HTTP status. Called in the main thread. */
typedef unsigned vigie_http_handler(void *argument, struct vigie_http_response *response);

struct vigie_http;

/* Begins a new configuration: what is served from here on is hidden until vigie_http_show, and a path of the
 * configuration before is no VIGIE_EEXIST. */
void vigie_http_begin(struct vigie_http *http);

/* Shows what was served since vigie_http_begin, in the place of what has the same address and path. */
void vigie_http_show(struct vigie_http *http);

/* Serves GET `path` on "ADDRESS:PORT", ":PORT" (all addresses), "[v6]:PORT" or "localhost:PORT" (127.0.0.1).
 * A second path on the same address shares the listener; the same path twice is VIGIE_EEXIST. `error` names
 * the address. */
enum vigie_status vigie_http_serve(struct vigie_http *http, const char *address, const char *path,
				   vigie_http_handler *handler, void *argument, struct vigie_error *error);

/* Whether an address has one of these forms. */
bool vigie_http_is_address(const char *address);

/* Stops what was served with these; the listener closes with its last one, so that a probe is refused from
 * then on. */
void vigie_http_stop(struct vigie_http *http, const char *address, const char *path, const void *argument);

struct vigie_http *vigie_http_new(uv_loop_t *loop);
void vigie_http_close(struct vigie_http *http);

#endif

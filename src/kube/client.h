/* HTTP requests to one API server: libcurl's multi interface driven by a uv loop. TLS is always verified.
 * With HTTP/2 all requests share one connection; with HTTP/1.1 each that is under way has its own. */
#ifndef VIGIE_KUBE_CLIENT_H
#define VIGIE_KUBE_CLIENT_H

#include <uv.h>

#include "vigie/kube.h"

enum {
	CLIENT_CONNECT_MS = 5000,       /* a clusterIP that is not programmed yet swallows packets */
	CLIENT_TOKEN_MS = 60000,        /* a token file is read again after this (client-go's rule) */
	CLIENT_KEEPALIVE_S = 15,        /* TCP keep-alive: idle and interval */
	CLIENT_USER_TIMEOUT_MS = 30000, /* unacknowledged data for so long: the connection is dead */
	CLIENT_BODY_MAX = 65536         /* bytes of an error's body that are kept */
};

/* How a request ended. */
struct client_result {
	long status;         /* HTTP status; 0: there was none */
	bool complete;       /* the response ended as HTTP says */
	long retry_after_s;  /* Retry-After; 0: none */
	const char *trouble; /* in words, when status is 0 or the response broke off; NULL otherwise */
	const char *body;    /* of a status other than 200, terminated; never NULL */
	size_t body_length;  /* without the terminator */
};

struct client_request;

/* Body bytes of a 200 response. False ends the request (its result: status 200, not complete). */
typedef bool client_data(void *argument, const char *bytes, size_t length);
/* The end; the request is gone afterwards. Not called after client_cancel. */
typedef void client_done(void *argument, const struct client_result *result);

struct client;

/* Takes over `config`'s contents. NULL when memory is out. */
struct client *client_new(uv_loop_t *loop, struct vigie_kube_config *config);

/* All requests must have ended or been cancelled; the memory goes when the loop has closed the handles. */
void client_close(struct client *client);

/* GET of `path` (with its query) under the server's URL, with the header line `accept`. NULL when memory is
 * out. */
struct client_request *client_get(struct client *client, const char *path, const char *accept,
				  client_data *data, client_done *done, void *argument);
/* Whether the response is in Kubernetes' protobuf, by its Content-Type. */
bool client_is_proto(const struct client_request *request);
/* Whether other requests may use the same connection: HTTP/2, or not known as there is no response yet. */
bool client_is_shared(const struct client_request *request);
/* Whether the server has begun to answer. */
bool client_is_answered(const struct client_request *request);
void client_cancel(struct client_request *request);

/* Closes all connections: the next request makes a new one. All requests must have ended or been cancelled;
 * not from within a callback. */
void client_disconnect(struct client *client);

/* The server refused the token: read the file again before the next request. */
void client_refresh_token(struct client *client);

/* "https://10.96.0.1:443", for logs. Borrowed. */
const char *client_server(const struct client *client);

#endif

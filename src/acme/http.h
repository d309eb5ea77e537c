/* Requests to a CA's server, one at a time, that another thread may end. */
#ifndef VIGIE_ACME_HTTP_H
#define VIGIE_ACME_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "vigie/buffer.h"
#include "vigie/status.h"

enum {
	ACME_BODY_MAX = 1 << 20, /* bytes of a response */
	ACME_NONCE_MAX = 256,
	ACME_URL_MAX = 1024
};

/* Text of headers is empty where there is none, or a longer one. */
struct acme_reply {
	long status;
	struct vigie_buffer body; /* with a zero byte behind it that its length does not count */
	char nonce[ACME_NONCE_MAX];
	char location[ACME_URL_MAX];
	unsigned retry_s; /* Retry-After in seconds; 0: none */
};

struct acme_http;

/* `root`: PEM file that is trusted beside the system's; `resolver`: HOST:PORT. Both may be NULL, and are
 * borrowed. NULL when memory is out. */
struct acme_http *acme_http_new(const char *root, const char *resolver);
void acme_http_free(struct acme_http *http);

/* Any thread: ends the request that is under way, and all later ones fail. */
void acme_http_stop(struct acme_http *http);
bool acme_http_stopped(const struct acme_http *http);

/* Waits, at most so long; less when it is stopped. */
void acme_http_sleep(struct acme_http *http, uint64_t ms);

/* `method`: GET, HEAD or POST; the body of a POST is a JWS. `reply` is initialised here and the caller's to
 * free in any case. An HTTP status that tells of an error is none here. */
enum vigie_status acme_http(struct acme_http *http, const char *method, const char *url, const char *body,
			    struct acme_reply *reply, struct vigie_error *error);

void acme_reply_free(struct acme_reply *reply);

#endif

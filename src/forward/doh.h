/* Queries to upstreams by HTTPS (RFC 8484), over HTTP/2 by libcurl: many at once on each connection. */
#ifndef VIGIE_FORWARD_DOH_H
#define VIGIE_FORWARD_DOH_H

#include <uv.h>

#include "carrier.h"

enum {
	DOH_CONNECT_MS = 3000, /* a connection is to be made within, TLS included */
	DOH_UNHEARD_MAX = 16   /* queries that were given up in a row without a response: it is dead */
};

/* The links of one worker. */
struct doh {
	uv_loop_t *loop;
	struct carriers list;
};

/* As `send` and `drop` of struct net. */
int doh_send(struct doh *doh, struct attempt *attempt, bool again);
void doh_drop(struct attempt *attempt);

/* Closes all, without a word to attempts that are left. */
void doh_close(struct doh *doh);

#endif

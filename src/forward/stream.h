/* Connections to upstreams by TCP (RFC 7766), and by TLS over it: many queries at once on each, replies in
 * any order. */
#ifndef VIGIE_FORWARD_STREAM_H
#define VIGIE_FORWARD_STREAM_H

#include <uv.h>

#include "carrier.h"

enum {
	STREAM_QUERIES_MAX = 256, /* under way on one connection; then there is a second one */
	STREAM_READ_SIZE = 16384, /* bytes read at a time */
	STREAM_CONNECT_MS = 3000  /* to be made within */
};

/* The connections of one worker. */
struct streams {
	uv_loop_t *loop;
	struct carriers list;
	uint8_t scratch[STREAM_READ_SIZE]; /* what came by TLS, within one callback */
};

/* As `send` and `drop` of struct net. */
int stream_send(struct streams *streams, struct attempt *attempt, bool again);
void stream_drop(struct attempt *attempt);

/* Closes all, without a word to attempts that are left. */
void streams_close(struct streams *streams);

#endif

/* What connections to upstreams have in common, whatever they carry (`stream`: TCP and TLS, `doh`: HTTPS):
 * one worker's, with many queries at once on each; closed when idle or silent; a connection takes no new
 * queries after some time, because a Service's address leads all packets of one to one pod. */
#ifndef VIGIE_FORWARD_CARRIER_H
#define VIGIE_FORWARD_CARRIER_H

#include "exchange.h"

enum {
	CARRIER_SILENCE_MS = 3000, /* without a byte while replies are due: it is dead */
	CARRIER_TICK_MS = 250      /* how often each is looked at */
};

struct carrier {
	struct carrier *next;
	struct carrier *previous;
	struct carriers *list;     /* NULL: closed */
	struct upstream *upstream; /* a reference */
	bool open;                 /* it has been heard of, and not ended since */
	bool full;                 /* no room for one more query now */
	bool retired;              /* takes no new queries */
	unsigned waiting;          /* queries that somebody waits for */
	unsigned max_idle;
	uint64_t heard_ms; /* the last byte */
	uint64_t asked_ms; /* the last query, or the first of those that wait */
	uint64_t retire_ms;
	uint64_t expire_ms; /* how long it may be idle */
};

/* Those of one worker and one kind. */
struct carriers {
	struct carrier *first;
};

/* What an attempt's handle begins with when its query is on a carrier. */
struct carried {
	struct carrier *carrier;
	struct attempt *attempt;
};

/* A connection for an attempt's upstream, in the list from now on until it is closed; it is given back after
 * that. */
void carrier_init(struct carrier *carrier, struct carriers *list, const struct attempt *attempt);
void carrier_close(struct carrier *carrier);
void carrier_fini(struct carrier *carrier);

/* The connection for one more query; NULL: a new one is to be made. `again`: an earlier query of the exchange
 * had no reply. `alive` is set when that one waits on a connection that has been heard of since: to ask again
 * would bring nothing. */
struct carrier *carrier_pick(const struct carriers *list, const struct attempt *attempt, bool again,
			     bool *alive);

/* An attempt's query goes out by the carrier, and is not waited for any longer. */
void carrier_carry(struct carrier *carrier, struct carried *carried, struct attempt *attempt);
void carrier_drop(struct carrier *carrier);

void carrier_heard(struct carrier *carrier);

enum carrier_state {
	CARRIER_GOOD,
	CARRIER_SILENT, /* replies are due: all that wait should hear of it */
	CARRIER_DONE    /* nobody waits, and nobody needs it: it is to be closed */
};

/* Looks at it as time goes by. */
enum carrier_state carrier_tick(struct carrier *carrier);

#endif

/* A zone that follows its primaries: fetched, kept up to date and called too old when the time comes (RFC
 * 1034 section 4.3.5, RFC 1996). All on the main thread but for what says otherwise. */
#ifndef VIGIE_DIRECTIVES_FOLLOWER_H
#define VIGIE_DIRECTIVES_FOLLOWER_H

#include <stdbool.h>
#include <uv.h>

#include "host_port.h"
#include "static_zone.h"
#include "vigie/catalog.h"

struct follower;

enum {
	FOLLOWERS_ASKING_MAX = 16 /* of one source at a time: a catalog may name thousands of zones */
};

/* Where the zones of one statement come from; it outlives its followers' stop. */
struct source {
	union host_port *primaries;
	size_t primary_count;
	bool catalog;         /* the zones that it names are catalogs */
	struct zones members; /* of which zones their members must be; none: any */
	struct fallthrough fall;
	unsigned asking; /* followers that ask a primary, or compile what came */
	struct follower *first_waiting;
	struct follower *last_waiting;
};

/* What an owner hears of; NULL argument: nobody owns the follower any more, and nothing is heard. */
struct follower_events {
	uv_loop_t *loop;
	void *argument;
	/* A new zone is served. `catalog` (owned by the callee) is what it lists, for one of a source with
	 * catalogs that is no member itself; else NULL. */
	void (*arrived)(void *argument, struct follower *follower, struct vigie_catalog *catalog);
};

struct follower {
	struct static_zone zone; /* workers read it */
	struct source *source;

	/* For its owner: what it is a member of, and under which label. */
	struct follower *catalog; /* NULL: none, it stands in the Corefile */
	uint8_t id[1 + VIGIE_LABEL_MAX];
	struct vigie_catalog *lists; /* of a catalog: the members at last; freed with the follower */
	bool listed;

	const struct follower_events *events; /* NULL: stopped */
	uv_timer_t timer;
	uv_async_t notified;
	uv_work_t work;
	unsigned references;       /* the owner's, handles that are not closed, work that is not done */
	bool asking;               /* counted in its source */
	bool waiting;              /* in its source's queue */
	struct follower *behind;   /* in that queue */
	struct primary *primary;   /* asked at the moment */
	size_t index;              /* which of the primaries that is */
	struct compiled *compiled; /* the zone that came, while a thread of the pool has it */
	bool has_zone;
	bool again; /* a NOTIFY came meanwhile */
	struct vigie_soa soa;
	uint64_t check_ms;  /* vigie_clock_ms when to ask next */
	uint64_t expire_ms; /* when the zone is too old */
};

/* Begins to follow, with one reference. `catalog`: whose member it is, or NULL. `events` lives until it is
 * stopped. NULL when memory is out. */
struct follower *follower_new(const struct vigie_name *origin, struct source *source,
			      struct follower *catalog, const struct follower_events *events);

/* Takes over the zone of another one, also while a newer one is just coming to that; for one that has just
 * been made, which then has a catalog's `lists`, too. Leaves the thread offline. */
void follower_adopt(struct follower *follower, const struct follower *from);

/* Asks at once, the first primary first, also when `source` has changed. */
void follower_restart(struct follower *follower, struct source *source);

/* Ends everything that would be heard of; what workers may look at stays. */
void follower_stop(struct follower *follower);

/* Gives the reference back once no worker has it any more. */
void follower_free(struct follower *follower);

/* A NOTIFY came for the zone; whether its client is a primary. In a worker's thread. */
bool follower_notify(struct follower *follower, const struct sockaddr *client);

#endif

/* One kind of object kept in step with the API server: the state machine of lists and watches, without I/O.
 * The watcher asks it what to request next, feeds it the bytes, and tells it how the request ended. */
#ifndef VIGIE_KUBE_REFLECTOR_H
#define VIGIE_KUBE_REFLECTOR_H

#include "client.h"
#include "json_cut.h"
#include "proto_cut.h"
#include "vigie/arena.h"
#include "vigie/kube.h"

enum {
	REFLECTOR_PAGE = 500,          /* objects of a page of a list */
	REFLECTOR_WATCH_LEAST_S = 300, /* timeoutSeconds of a watch: from this … */
	REFLECTOR_WATCH_SPREAD_S =
		300, /* … to this more, by chance, so that replicas do not reconnect together */
	REFLECTOR_BACKOFF_MS = 800, /* client-go's back-off: this, doubled for each failure … */
	REFLECTOR_RETURN_MS =
		100, /* the same from a server that is back: it refuses us until it knows the roles */
	REFLECTOR_BACKOFF_MAX_MS = 30000, /* … up to this; by chance up to twice as long */
	REFLECTOR_REFUSED_MAX_MS =
		1000, /* nobody listens (the server restarts): asked again soon, it costs it nothing */
	REFLECTOR_SHORT_MS = 1000 /* a watch that ended sooner, without an event, counts as a failure */
};

enum reflector_request {
	REFLECTOR_LIST,       /* a page of a list */
	REFLECTOR_WATCH_LIST, /* the initial events, then a watch, in one stream */
	REFLECTOR_WATCH
};

struct reflector {
	enum vigie_kind kind;
	struct vigie_cluster *cluster;
	const char *selector; /* label selector, URL-escaped; NULL: none */

	enum reflector_request request; /* the current one, or the last */
	struct json_cut cut;
	struct proto_cut frames;
	struct vigie_arena *arena;
	char version[64];     /* resourceVersion to go on from; "": list */
	char next_page[1024]; /* the list's continue token; "": begin anew */
	bool no_watch_list;   /* the server refused it */
	bool quorum;          /* the next list must not come from a cache that may lag */
	bool initial;         /* the stream's initial events are not complete */
	bool fed;             /* the request brought an event */
	bool bad_token;       /* the last request was refused for its token */
	bool synced;
	bool proto;            /* the last bytes were in protobuf */
	unsigned failures;     /* in a row */
	bool unreachable;      /* the last ones found no server */
	uint64_t backoff_ms;   /* the first wait of this row */
	uint64_t began_ms;     /* the current request */
	uint64_t seen_ms;      /* its last byte */
	uint64_t last_seen_ms; /* the last byte of any that proved the server alive */
	int error_code;        /* of an ERROR event; 0: none came */
	char error_text[160];
	uint64_t error_retry_s;
	char trouble[256];
	uint64_t lists;
	uint64_t watches;
	uint64_t events;
	uint64_t bad_objects;
};

/* VIGIE_ENOMEM. `selector` is borrowed. */
enum vigie_status reflector_init(struct reflector *reflector, enum vigie_kind kind,
				 struct vigie_cluster *cluster, const char *selector);
void reflector_fini(struct reflector *reflector);

/* The current state is not to be trusted: the next request is a list that no cache answers. What is served
 * stays until it is complete. The current request must be ended by the caller. */
void reflector_resync(struct reflector *reflector);

/* Whether the next request is a list or an initial stream: only one of those is made at a time. */
bool reflector_wants_list(const struct reflector *reflector);

/* Whether the current request is still one of those. */
bool reflector_is_listing(const struct reflector *reflector);

/* Begins the next request and writes its path and query to `path`. */
void reflector_begin(struct reflector *reflector, char *path, size_t size);

/* The header line that says what the request that began takes. Static storage. */
const char *reflector_accept(const struct reflector *reflector);

/* Takes bytes of the response, in protobuf or JSON. False: it must be ended. The caller publishes the cluster
 * afterwards. */
bool reflector_data(struct reflector *reflector, bool proto, const char *bytes, size_t length);

/* The request has ended. Returns how long to wait before the next, in milliseconds. `refresh_token` is set
 * when the token must be read again. */
uint64_t reflector_end(struct reflector *reflector, const struct client_result *result, bool *refresh_token);

/* How long the current stream has been silent at `now_ms`. */
uint64_t reflector_silence_ms(const struct reflector *reflector, uint64_t now_ms);

#endif

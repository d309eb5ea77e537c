/* What `cache` was told, and what it counts. */
#ifndef VIGIE_DIRECTIVES_CACHE_H
#define VIGIE_DIRECTIVES_CACHE_H

#include <urcu-qsbr.h>

#include "vigie/cache.h"
#include "vigie/directive.h"
#include "zones.h"

/* How long answers of one kind are held, in seconds. */
struct cache_bounds {
	uint32_t least;
	uint32_t most;
	uint32_t capacity; /* so many at most; 0: as many as the budget has room for */
};

/* Of one worker; on lines of its own. */
struct cache_counters {
	uint64_t hits[VIGIE_CACHED_KINDS];
	uint64_t misses;
	uint64_t stale;
	uint64_t prefetches;
	uint64_t failed; /* refreshes */
} __attribute__((aligned(64)));

/* Why a refresh failed; never changed once it is published. */
struct cache_reason {
	struct rcu_head rcu;
	char text[128];
};

/* `serve_stale` (RFC 8767). */
struct cache_stale {
	uint64_t window_ms;  /* for how long behind its lifetime an answer may be given; 0: not at all */
	bool immediate;      /* at once, and refreshed behind it; else only when no newer one can be had */
	uint32_t timeout_ms; /* so long a client waits for a newer one; 0: as long as the upstreams take */
	uint32_t ttl;        /* seconds: what stale records say */
	bool recheck_given;
	uint32_t recheck_ms; /* no refresh is tried after a failure before; without `recheck_given` 1 s, 2 s,
				4 s… */
	bool prefer_positive;
};

struct cache_prefetch {
	unsigned amount; /* hits that make an answer popular; 0: off */
	uint32_t gap_ms; /* without so long between them */
	uint32_t percentage;
};

struct cache_saver;

struct cache {
	const struct vigie_statement *statement;
	struct zones zones;
	struct cache_bounds success;
	struct cache_bounds denial;
	bool denial_given; /* else those of cluster names are held for CACHE_CLUSTER_DENIAL_TTL at most */
	struct vigie_process *process;
	uint32_t failure_most; /* seconds; 0: failures are not held */
	struct zones no_success;
	struct zones no_denial;
	bool keep_ttl;
	struct cache_stale stale;
	struct cache_prefetch prefetch;
	uint64_t id; /* of the part of the store: what the answers depend on */
	struct vigie_cache *store;
	struct vigie_cache_part *part;
	/* Of the last refresh that failed, by RCU: for those who get what is stale instead. NULL: none did.
	 */
	struct cache_reason *reason;
	struct cache_counters *counters; /* one for each worker */
	unsigned workers;
	struct cache_saver *saver; /* `persist`, for the whole process; the last instance holds it */
	bool shows_store;          /* of all instances this one has the store's metrics */
	const char *server;        /* its first listener, for people */
	char labels[1024];         /* of its metrics: server, zones, view */
};

enum {
	CACHE_SUCCESS_TTL = 3600, /* CoreDNS' bounds */
	CACHE_DENIAL_TTL = 1800,
	CACHE_LEAST_TTL = 5,
	CACHE_CLUSTER_DENIAL_TTL = 5, /* a service that is missing now may be there soon (kubernetes#74092) */
	CACHE_TTL_MAX = 604800,       /* a longer one is not believed (RFC 8767 section 4) */
	CACHE_FAILURE_TTL = 5,        /* RFC 9520 section 3.2: at least 1 second, at most 5 minutes */
	CACHE_FAILURE_TTL_MAX = 300,
	CACHE_STALE_UNASKED_S = 86400, /* without `serve_stale`: RFC 8767 section 5 suggests 1 to 3 days */
	CACHE_STALE_S = 3600,          /* CoreDNS' default of the option */
	CACHE_STALE_WAIT_MS = 1800,    /* RFC 8767 section 5: the client response timer */
	CACHE_STALE_TTL = 30,          /* section 4 */
	CACHE_RECHECK_MAX_MS = 30000,  /* section 5: a failing refresh is tried every 30 s at most */
	CACHE_RECHECK_LIMIT_S = 300,
	CACHE_PREFETCH_MAX = UINT16_MAX,
	CACHE_PERSIST_S = 300, /* from one saving to the next */
	CACHE_PERSIST_MAX_S = 86400
};

enum vigie_status cache_read_options(struct vigie_block *block, struct cache *cache,
				     struct vigie_error *error);

/* An answer whose lifetime is over: whether it may still be given, and giving it, or a newer one. */
bool cache_may_be_stale(const struct cache *cache, const struct vigie_cached *cached, uint64_t now_ms);
enum vigie_verdict cache_serve_stale(const struct cache *cache, struct vigie_request *request,
				     const struct vigie_cached *cached);

/* A failure, or with prefer_positive a denial, does not take the place of a good answer that may still be
 * given: then true, and it is not tried again for a while. `lifetime` is in seconds. */
bool cache_keep_older(struct cache *cache, struct vigie_request *request,
		      const struct vigie_cache_reply *reply, uint32_t lifetime);

/* A refresh ended without anybody being asked (`max_concurrent`, `acl`…): another one may follow soon. */
void cache_refresh_refused(const struct cache *cache, const struct vigie_request *request);

/* Counts a hit and refreshes what is popular and about to end. */
void cache_prefetch(const struct cache *cache, struct vigie_request *request,
		    const struct vigie_cached *cached);

/* `persist`: loads the cache file and saves it from time to time and at the end. The next configuration with
 * the same file goes on. */
enum vigie_status cache_persist_start(struct cache *cache, struct vigie_error *error);
void cache_persist_stop(struct cache *cache);

struct json_t;
bool cache_control(void *instance, const char *const *words, struct json_t *reply, size_t *turn);

void cache_write_labels(const struct vigie_block *block, struct cache *cache);
void cache_add_metrics(void *instance, struct vigie_metrics *metrics);

#endif

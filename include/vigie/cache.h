/* The answer cache: whole answers of other servers under their questions, in one store for the whole process
 * with a hard budget of bytes. Nothing is harvested out of a reply, so one question's reply cannot poison
 * another's.
 *
 * Reading takes no lock and no allocation: readers are RCU (liburcu, QSBR) and must be online. Writing never
 * waits either: a store that is busy refuses, and the answer is simply not kept. What is read once goes first
 * (S3-FIFO: Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023), so that a flood of
 * names that nobody asks for again does not push out those that many ask for. */
#ifndef VIGIE_CACHE_H
#define VIGIE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/answer.h"
#include "vigie/query.h"
#include "vigie/status.h"

enum {
	VIGIE_CACHE_BUDGET_MIN = 1 << 20, /* bytes of the smallest store */
	VIGIE_CACHE_ENTRY_MAX = 16 << 10, /* bytes of an answer with its key; a longer one is not kept */
	VIGIE_CACHE_RECORDS_MAX = 1024,   /* records of an answer; one with more is not kept */
	VIGIE_CACHE_CHAIN_MAX = 16,     /* CNAMEs followed from the question's name; beyond it is no answer */
	VIGIE_CACHE_NEGATIVE_SHARE = 4, /* negative answers and failures fill at most 1/4 of the budget */
	VIGIE_CACHE_CAPACITY_MIN = 1024, /* of vigie_cache_part_limit */
	VIGIE_CACHE_PARTS_MAX = 65536,   /* parts that hold answers or are in use */
	VIGIE_CACHE_PERSIST_AGE_MAX =
		604800 /* seconds: no answer in a cache file is older, nor lives longer */
};

enum vigie_cached_kind {
	VIGIE_CACHED_ANSWER,   /* NOERROR with records of the type asked for */
	VIGIE_CACHED_NODATA,   /* NOERROR without (RFC 2308 section 2.2) */
	VIGIE_CACHED_NXDOMAIN, /* (RFC 2308 section 2.1) */
	VIGIE_CACHED_FAILURE,  /* SERVFAIL and the like, or no reply at all (RFC 9520) */
	VIGIE_CACHED_KINDS
};

/* "success" or "denial": CoreDNS' two kinds. Static storage. */
const char *vigie_cached_kind_text(enum vigie_cached_kind kind);

/* What a reply says for a cache, and where its TTLs are. */
struct vigie_cache_reply {
	bool cacheable; /* false: not to be kept, whatever its TTLs (RFC 2308 section 5) */
	enum vigie_cached_kind kind;
	uint32_t ttl;   /* seconds: the least of all records', for a negative one with the SOA's MINIMUM */
	uint16_t count; /* records of all sections */
	uint16_t at[VIGIE_CACHE_RECORDS_MAX]; /* offsets of their TTLs in the message */
};

/* Reads a whole answer that came from another server (not yet ended). */
void vigie_cache_classify(const struct vigie_answer *answer, struct vigie_cache_reply *reply);

/* Brings all TTLs of the answer into `least` to `most` seconds. */
void vigie_cache_clamp(struct vigie_answer *answer, const struct vigie_cache_reply *reply, uint32_t least,
		       uint32_t most);

struct vigie_cache;

/* One server block's own part of the store: its answers are for its questions only. */
struct vigie_cache_part;

/* What readers need of an answer; valid until the reader's next quiescent state. */
struct vigie_cached;

/* A store of `budget` bytes, tables and all. NULL when memory is out. `vigie_cache_free` needs that no reader
 * is left. */
struct vigie_cache *vigie_cache_new(size_t budget);
void vigie_cache_free(struct vigie_cache *cache);

/* The store of this process, made by the first user with its budget and kept until the last one releases it:
 * a configuration that takes over from another one finds its answers. NULL when memory is out. Main thread
 * only. */
struct vigie_cache *vigie_cache_acquire(size_t budget);
void vigie_cache_release(struct vigie_cache *cache);

/* The budget for a process that was not told any: a quarter of the cgroup's memory limit, at least 4 MiB,
 * at most 64 MiB. */
size_t vigie_cache_default_budget(void);

/* The part of this id, made when it is new; the same id gets the same answers again. NULL when memory is out
 * or there are too many. Main thread only. */
struct vigie_cache_part *vigie_cache_part_acquire(struct vigie_cache *cache, uint64_t id);
void vigie_cache_part_release(struct vigie_cache *cache, struct vigie_cache_part *part);

/* Bounds how many answers it holds, or how many denials and failures; it costs eight bytes for each beside
 * the budget. Once, before anything is stored. `capacity` is at least VIGIE_CACHE_CAPACITY_MIN. VIGIE_ENOMEM.
 */
enum vigie_status vigie_cache_part_limit(struct vigie_cache *cache, struct vigie_cache_part *part,
					 bool positive, size_t capacity);

/* The part of this id that a configuration uses; NULL when there is none. Main thread only. */
struct vigie_cache_part *vigie_cache_part_find(struct vigie_cache *cache, uint64_t id);

/* The answer that is held for a question, however old; NULL when there is none. */
const struct vigie_cached *vigie_cache_find(struct vigie_cache *cache, const struct vigie_cache_part *part,
					    const struct vigie_query *query);

/* Holds an answer (not yet ended; `reply` describes it) for `lifetime` seconds from `now_ms` on. It takes the
 * place of what was held for the question. VIGIE_ENOSPC when it is too long, or the store is busy. */
enum vigie_status vigie_cache_put(struct vigie_cache *cache, struct vigie_cache_part *part,
				  const struct vigie_answer *answer, const struct vigie_cache_reply *reply,
				  uint32_t lifetime, uint64_t now_ms);

enum vigie_cached_kind vigie_cached_kind(const struct vigie_cached *cached);
/* Since it was stored. A worker's clock may be behind that of the one that stored it: 0 then. */
uint64_t vigie_cached_age_ms(const struct vigie_cached *cached, uint64_t now_ms);
uint32_t vigie_cached_lifetime(const struct vigie_cached *cached); /* seconds */
uint16_t vigie_cached_rcode(const struct vigie_cached *cached);

/* Why a failure is one: the first 128 bytes of the text that explained it (vigie_answer_explain) when it was
 * stored. "" when it had none, and for other kinds. */
const char *vigie_cached_why(const struct vigie_cached *cached);

/* Writes what is held as the answer to the query for which it was found, cut by whole RRs where it does not
 * fit. `age` seconds are taken off each TTL, down to `least`; `most` bounds it from above. */
void vigie_cached_write(const struct vigie_cached *cached, struct vigie_answer *answer, uint32_t age,
			uint32_t least, uint32_t most);

/* Writes the question that it answers as a query (512 bytes are enough); returns its length. */
size_t vigie_cached_question(const struct vigie_cached *cached, uint8_t *packet, size_t size);

/* Looking at all answers. The visitor is called with a lock that no worker waits for; true drops the answer,
 * so that the next question goes to the upstreams: the caller must be online for RCU then. */
typedef bool vigie_cache_visitor(void *argument, const struct vigie_cached *cached);

/* Visits the next piece of the store (32 KiB) and moves `cursor`, which begins at 0; false when there is
 * none. An answer may move meanwhile, and be met twice or not at all. Any thread. */
bool vigie_cache_walk(struct vigie_cache *cache, size_t *cursor, vigie_cache_visitor *visitor,
		      void *argument);

/* The same in larger pieces (an eighth of the store, or all of a small one): no answer is missed. */
bool vigie_cache_flush(struct vigie_cache *cache, size_t *cursor, vigie_cache_visitor *visitor,
		       void *argument);

/* What a visitor may ask of an answer. */
const struct vigie_cache_part *vigie_cached_part(const struct vigie_cached *cached);
const uint8_t *vigie_cached_owner(const struct vigie_cached *cached, size_t *length); /* folded wire name */
unsigned vigie_cached_records_count(const struct vigie_cached *cached);

/* The cache file. Saving writes a new one and puts it in the place of the old one when it is safe on the
 * disk. Any thread, one at a time. */
enum vigie_status vigie_cache_save(struct vigie_cache *cache, const char *path, struct vigie_error *error);

/* Loads the answers of parts that are in use, aged by the wall clock; what is held already is newer and
 * stays. `count` says how many came. A file that is damaged, too old or from the future is refused: `error`
 * is the sentence. Main thread, online for RCU. */
enum vigie_status vigie_cache_load(struct vigie_cache *cache, const char *path, size_t *count,
				   struct vigie_error *error);

/* Refreshing. An answer whose lifetime is over stays until it is evicted: it may still be given while no
 * upstream has a newer one (RFC 8767). */

enum {
	VIGIE_CACHE_CLAIM_MS =
		10000, /* a refresh in the background that has not ended by then counts as lost */
	VIGIE_CACHE_SILENT =
		3, /* so many questions one after another without a reply: the upstreams are gone */
	VIGIE_CACHE_ATTEMPT_MS = 250 /* how often one is tried then: upstreams that `forward` has given up get
				       nothing of it */
};

/* The upstreams of this part gave a reply to some question, or none. */
void vigie_cache_part_heard(struct vigie_cache_part *part, uint64_t now_ms);
void vigie_cache_part_unheard(struct vigie_cache_part *part);

/* Whether the last VIGIE_CACHE_SILENT questions had no reply. */
bool vigie_cache_part_silent(const struct vigie_cache_part *part);

/* Whether an upstream may be asked for a newer answer: not while the last failure is remembered, unless the
 * upstreams were gone then and are back; and not more often than each VIGIE_CACHE_ATTEMPT_MS while they are
 * gone. */
bool vigie_cached_may_ask(const struct vigie_cached *cached, struct vigie_cache_part *part, uint64_t now_ms);

/* Whether the caller is to refresh it in the background: nobody else does. */
bool vigie_cached_claim(const struct vigie_cached *cached, uint64_t now_ms);

/* The refresh did not come to ask anybody: it may be claimed again after VIGIE_CACHE_ATTEMPT_MS. */
void vigie_cached_unclaim(const struct vigie_cached *cached, uint64_t now_ms);

/* A refresh failed, or gave what does not replace it: none is tried for `hold_ms` from now on. */
void vigie_cached_hold(const struct vigie_cached *cached, uint64_t now_ms, uint32_t hold_ms);

/* Failures one after another: refreshes of this answer, or for a failure the ones before it. */
unsigned vigie_cached_failures(const struct vigie_cached *cached);

/* Counts a hit and returns how many there were with less than `gap_ms` between them, at most `most`. */
unsigned vigie_cached_hit(const struct vigie_cached *cached, uint64_t now_ms, uint32_t gap_ms, unsigned most);

/* What a store holds now and has done so far. Main thread; the numbers are close, not of one moment. */
struct vigie_cache_count {
	uint64_t bytes; /* of segments in use, and of the tables */
	uint64_t budget;
	uint64_t entries[VIGIE_CACHED_KINDS];
	uint64_t stored;
	uint64_t evicted;
	uint64_t refused; /* not stored: too long, busy, or no room at once */
};
void vigie_cache_count(const struct vigie_cache *cache, struct vigie_cache_count *count);

/* How many answers were stored or flushed so far. Any thread. */
uint64_t vigie_cache_changes(const struct vigie_cache *cache);

struct vigie_cache_part_count {
	uint64_t entries[VIGIE_CACHED_KINDS];
	uint64_t evicted[VIGIE_CACHED_KINDS];
};
void vigie_cache_part_count(const struct vigie_cache_part *part, struct vigie_cache_part_count *count);

#endif

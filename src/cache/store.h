/* The store's own structures.
 *
 * The budget is one mapping of segments of one size. Entries are written into segments one behind another and
 * never move while they can be read: nothing is allocated per entry, so nothing fragments, and the bytes in
 * use are known exactly. Segments form the queues of S3-FIFO. Evicting takes the oldest segment of a queue:
 * what was read since it came in is copied to the front of the main queue, the rest is unlinked, and the
 * segment is written again when a grace period has passed. */
#ifndef VIGIE_CACHE_STORE_H
#define VIGIE_CACHE_STORE_H

#include <pthread.h>
#include <urcu-qsbr.h>

#include "index.h"
#include "vigie/cache.h"

enum {
	SEGMENT_SIZE = 32 << 10,
	SHARDS_MAX = 256,
	SHARDS_FEW = 8,            /* so many keep workers apart; one with more room shares it better */
	SHARD_SEGMENTS_MIN = 32,   /* a shard has at least so many, or there are fewer shards */
	SHARD_SEGMENTS_MANY = 256, /* fewer than twice as many: its index is copied at once when it grows */
	ENTRY_ALIGN = 8,
	FREQUENCY_MAX = 3, /* S3-FIFO's two bits: written at most so often while an entry is in its queue */
	KEY_MAX = 8 + 5 + VIGIE_NAME_MAX,
	WHY_MAX = 128 /* bytes kept of what says why a failure is one */
};

/* Positive and negative answers have queues of their own, so that neither pushes the other out at will. */
enum class { CLASS_POSITIVE, CLASS_NEGATIVE, CLASSES };
enum queue { QUEUE_SMALL, QUEUE_MAIN, QUEUES };

enum { OPTION_DO = 1, OPTION_CD = 2, OPTION_NO_RD = 4 };

/* The hashes of what a part stored of one class; for each shard a piece of its own, under the shard's lock.
 */
struct ring {
	uint64_t *slots; /* NULL: nothing bounds it but the budget */
	uint32_t size;   /* of a shard's piece */
	uint32_t *hand;  /* of each shard */
};

struct vigie_cache_part {
	struct vigie_cache_part *next;
	uint64_t id;
	unsigned users;                       /* configurations that serve from it; main thread only */
	uint64_t entries[VIGIE_CACHED_KINDS]; /* atomic, as all below */
	uint64_t evicted[VIGIE_CACHED_KINDS];
	struct ring rings[CLASSES];
	uint32_t silences;   /* questions without a reply since the last reply */
	uint64_t healed_ms;  /* when a reply ended a silence */
	uint64_t attempt_ms; /* during a silence nobody is asked before */
};

struct vigie_cached {
	/* What readers change (all atomic); the rest stays as it is while it can be read. Times are
	 * milliseconds since it was stored. */
	uint32_t claimed;  /* a refresh in the background is under way until then */
	uint32_t failed;   /* when a refresh failed last; 0: none did */
	uint32_t retry;    /* no refresh is tried before */
	uint32_t last_hit; /* for `prefetch` */
	uint16_t hits;     /* without a gap between them */
	uint8_t failures;  /* refreshes that failed one after another */
	uint8_t frequency; /* reads since it came into its queue, at most FREQUENCY_MAX */

	struct vigie_cache_part *part;
	uint64_t hash;
	uint64_t stored_ms;
	uint32_t lifetime; /* seconds */
	uint32_t size;     /* bytes in its segment */
	uint16_t type;
	uint16_t class;
	uint16_t rcode;
	uint16_t flags; /* AA, RA, AD */
	uint16_t count[VIGIE_SECTIONS];
	uint16_t length; /* bytes of the records */
	uint8_t options; /* OPTION_ */
	uint8_t kind;    /* enum vigie_cached_kind */
	uint8_t name_length;
	bool dead; /* the writer's: unlinked already */
	/* Offsets of the TTLs behind the question (uint16_t, one for each record), the records, the folded
	 * name; of a failure, why it is one, with a terminator. */
	uint8_t bytes[] __attribute__((aligned(2)));
};

struct segment {
	struct rcu_head rcu;
	struct segment *next; /* the younger one of its queue, or of the free ones */
	uint8_t *bytes;
	uint32_t used;
	bool usable; /* atomic: no reader is left in it */
};

/* Segments from the oldest to the one that is written. */
struct segments {
	struct segment *oldest;
	struct segment *youngest;
	uint32_t count;
};

/* A part of the store with a lock of its own: which one is said by the key's hash. */
struct shard {
	pthread_mutex_t lock; /* only ever tried */
	struct index *index;  /* of its entries; atomic */
	struct segments queues[CLASSES][QUEUES];
	struct segments free; /* the oldest is usable, or will be after a grace period */
	uint32_t segments;    /* all of the shard: side by side */
	size_t first;         /* the first of them */
	uint32_t negative_max;
	uint32_t reserve; /* segments kept free, so that one is usable at any time */
	uint16_t *ghosts; /* fingerprints of what left the small queue unread */
	uint32_t ghost_mask;
	uint64_t stored; /* atomic, as all below */
	uint64_t evicted;
	uint64_t flushed; /* by a visitor */
	uint64_t refused;
	uint64_t used; /* segments in queues */
} __attribute__((aligned(64)));

struct vigie_cache {
	struct shard *shards;
	unsigned shard_count; /* a power of two */
	struct segment *segments;
	size_t segment_count;
	uint8_t *bytes; /* the mapping */
	uint16_t *ghosts;
	size_t ghost_count;
	size_t budget;
	size_t overhead; /* bytes of the tables */
	struct vigie_cache_part *parts;
	size_t part_count;
	unsigned users;
};

/* Segments. The shard is locked for all of them. */

/* Room for an entry in a queue; NULL when there is none at once. Evicts as needed. */
struct vigie_cached *vigie_segment_room(struct vigie_cache *cache, struct shard *shard, enum class class,
					enum queue queue, size_t size);

/* Takes an entry out of the index, if it still is there. */
void vigie_segment_drop(struct vigie_cache *cache, struct shard *shard, struct vigie_cached *cached);

/* The same, counted: it went for want of room. */
void vigie_segment_evict(struct vigie_cache *cache, struct shard *shard, struct vigie_cached *cached);

/* Notes an entry that its part did not hold yet in its class, and evicts the one that is too many. */
void vigie_limit_enter(struct vigie_cache *cache, struct shard *shard, struct vigie_cached *cached);

bool vigie_ghost_take(struct shard *shard, uint64_t hash);

/* Parts. */

void vigie_part_free(struct vigie_cache_part *part);

/* Keys. */

static inline enum class vigie_cached_class(const struct vigie_cached *cached) {
	return cached->kind == VIGIE_CACHED_ANSWER ? CLASS_POSITIVE : CLASS_NEGATIVE;
}

static inline const uint8_t *vigie_cached_records(const struct vigie_cached *cached)
{
	return cached->bytes + 2U * ((unsigned)cached->count[0] + cached->count[1] + cached->count[2]);
}

static inline const uint8_t *vigie_cached_name(const struct vigie_cached *cached)
{
	return vigie_cached_records(cached) + cached->length;
}

#endif

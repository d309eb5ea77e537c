/* A shard's entries by the hash of their key. Buckets of one cache line, in either of two of which an entry
 * may stand: looking for what is not there costs two lines, however full the index is, and removing leaves
 * nothing behind. One word for each entry holds half of its hash, by which an index that grows is built
 * without looking at entries, and where it is in the cache's mapping. Readers are RCU and take no lock;
 * whoever changes something has the shard's. */
#ifndef VIGIE_CACHE_INDEX_H
#define VIGIE_CACHE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vigie_cache;
struct vigie_cached;
struct shard;

enum {
	INDEX_BUCKET = 8,       /* entries in a bucket */
	INDEX_BUCKET_SIZE = 64, /* bytes */
	INDEX_BUCKETS_MIN = 8,  /* of a new index */
	INDEX_FULL = 13,        /* sixteenths of its places: beyond them the oldest entries have to go */
	INDEX_CROWDED = 12      /* sixteenths: beyond them an index grows, as long as it may */
};

/* Whether an entry is the one that is looked for. */
typedef bool vigie_index_match(const struct vigie_cached *cached, const void *wanted);

struct index;

/* One for at most so many buckets, of which it has few at first. NULL when memory is out. */
struct index *vigie_index_new(size_t buckets_max);
void vigie_index_free(struct index *index);

/* The entry that `is` what is wanted; NULL when there is none. Within a read-side section. */
struct vigie_cached *vigie_index_find(const struct vigie_cache *cache, const struct shard *shard,
				      uint64_t hash, vigie_index_match *is, const void *wanted);

/* The writer's part. */

/* It has so many entries that some must go. */
bool vigie_index_is_full(const struct shard *shard);

/* Publishes an entry whose key no other one has. False: there is no place for one of its hash, which cannot
 * be expected of an index that is not full. */
bool vigie_index_add(struct vigie_cache *cache, struct shard *shard, const struct vigie_cached *cached);

/* Publishes an entry in the place of another of the same key, which is in the index. */
void vigie_index_replace(struct vigie_cache *cache, struct shard *shard, const struct vigie_cached *old,
			 const struct vigie_cached *cached);

void vigie_index_remove(struct vigie_cache *cache, struct shard *shard, const struct vigie_cached *cached);

#endif

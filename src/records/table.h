/* What readers see: the tables of services, addresses, namespaces and pods. Readers take no lock; the one
 * writer publishes with a release store, and memory that was published is freed after a grace period. */
#ifndef TABLE_H
#define TABLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu-qsbr.h>

#include "blob.h"
#include "slots.h"
#include "vigie/hash.h"
#include "vigie/name.h"
#include "vigie/records.h"

/* A namespace that exists, or that something refers to. */
struct space {
	bool exposed; /* atomic: it exists and the configuration lets it be seen */
	bool present; /* the writer's, as all below: the object exists */
	uint32_t seen;
	uint32_t users;  /* entries and pods that point here */
	uint8_t label[]; /* wire label */
};

struct holding;

/* A service's place in the table: stays the same while the writer knows anything of the service. */
struct entry {
	const struct blob *blob; /* atomic; NULL: the service does not exist for DNS */
	struct space *space;
	struct holding *holding; /* the writer's */
	uint8_t key_length;
	uint8_t key[]; /* wire labels SERVICE NAMESPACE, as they stand in a name */
};

/* An address that pods of a namespace have. */
struct pod_address {
	struct space *space;
	uint8_t address[16];
	uint32_t users; /* the writer's: pods that have it */
};

struct garbage;

struct vigie_records {
	struct slots *services; /* atomic: by their keys */
	struct slots *reverse;  /* atomic: by their addresses (reverse.h) */
	struct slots *spaces;   /* atomic: by their labels */
	struct slots *pods;     /* atomic: by their addresses */
	uint32_t serial;        /* atomic, as all below */
	bool synced;
	struct vigie_records_count count;
	uint64_t bytes[VIGIE_BYTES];
	uint64_t programming[VIGIE_PROGRAMMING_BOUNDS + 1];
	double programming_sum;
	pthread_mutex_t publishing; /* the writer's while it publishes; a transfer waits for its end */
	unsigned transfers;         /* atomic: that hold on to what there was */
	struct garbage *garbage;    /* the writer's: pieces that wait for a grace period */
};

enum {
	KEY_MAX = 2 * (1 + VIGIE_LABEL_MAX) /* bytes of two wire labels */
};

/* NULL when there is none. `key` is `length` bytes of two wire labels. */
static inline __attribute__((always_inline)) struct entry *
vigie_table_find(const struct vigie_records *records, const uint8_t *key, size_t length)
{
	struct slots_walk walk;
	struct entry *entry;
	bool flag;

	slots_begin(&walk, &records->services, vigie_hash(key, length));
	while ((entry = slots_next(&walk, &flag)) != NULL) {
		if (entry->key_length == length && vigie_name_same(entry->key, key, length))
			return entry;
	}
	return NULL;
}

/* The namespace of a wire label; NULL when there is none. */
struct space *vigie_table_find_space(const struct vigie_records *records, const uint8_t *label);

/* The address as pods of the namespace have it; NULL when none has. */
struct pod_address *vigie_table_find_pod(const struct vigie_records *records, const struct space *space,
					 const uint8_t *address);

static inline const struct blob *entry_blob(const struct entry *entry)
{
	return __atomic_load_n(&entry->blob, __ATOMIC_ACQUIRE);
}

static inline bool space_exposed(const struct space *space)
{
	return __atomic_load_n(&space->exposed, __ATOMIC_ACQUIRE);
}

/* Whether a transfer holds on to what there was: waiting for readers is waiting for its end. */
static inline bool vigie_table_is_held(const struct vigie_records *records)
{
	return __atomic_load_n(&records->transfers, __ATOMIC_ACQUIRE) > 0;
}

/* The writer's part. */

/* VIGIE_ENOMEM */
enum vigie_status vigie_table_add_entry(struct vigie_records *records, struct entry *entry);
void vigie_table_remove_entry(struct vigie_records *records, const struct entry *entry);
enum vigie_status vigie_table_add_space(struct vigie_records *records, struct space *space);
void vigie_table_remove_space(struct vigie_records *records, const struct space *space);
enum vigie_status vigie_table_add_pod(struct vigie_records *records, struct pod_address *pod);
void vigie_table_remove_pod(struct vigie_records *records, const struct pod_address *pod);

/* All memory of the table and of the writer's store comes from here and is counted by what it is for. */

/* Zeroed; NULL when memory is out. */
void *vigie_piece_new(struct vigie_records *records, enum vigie_bytes bytes, size_t size);
/* Frees a piece (NULL is allowed) that no reader has seen. */
void vigie_piece_free(struct vigie_records *records, enum vigie_bytes bytes, void *piece);
/* Frees a piece (NULL is allowed) that readers may still look at, after a grace period. */
void vigie_piece_retire(struct vigie_records *records, enum vigie_bytes bytes, void *piece);

/* What was retired waits in the writer's hands, who then waits for the readers himself: so the memory that it
 * takes is bounded by the state, however fast the cluster changes and however late another thread runs. */

/* Waits until every reader has passed on, and frees what was retired. */
void vigie_table_reclaim(struct vigie_records *records);
/* The same, when a good deal was retired. Beside a transfer, which takes its time, only when that has become
 * a large part of the table. */
void vigie_table_bound(struct vigie_records *records);

#endif

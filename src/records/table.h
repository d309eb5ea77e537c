/* What readers see: the tables of services, addresses, namespaces and pods. Readers take no lock; the one
 * writer publishes with a release store, and memory that was published is freed after a grace period. */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu-qsbr.h>
#include <urcu/rculfhash.h>

#include "blob.h"
#include "vigie/name.h"
#include "vigie/records.h"

/* A namespace that exists, or that something refers to. */
struct space {
	struct cds_lfht_node node;
	bool exposed; /* atomic: it exists and the configuration lets it be seen */
	bool present; /* the writer's, as all below: the object exists */
	uint32_t seen;
	uint32_t users;  /* entries and pods that point here */
	uint8_t label[]; /* wire label */
};

struct holding;

/* A service's place in the table: stays the same while the writer knows anything of the service. */
struct entry {
	struct cds_lfht_node node;
	const struct blob *blob; /* atomic; NULL: the service does not exist for DNS */
	struct space *space;
	struct holding *holding; /* the writer's */
	uint8_t key_length;
	uint8_t key[]; /* wire labels SERVICE NAMESPACE, as they stand in a name */
};

/* One address of one service. */
struct reverse {
	struct cds_lfht_node node;
	uintptr_t owner; /* atomic: the entry; the lowest bit is set for a cluster address */
	uint8_t address[16];
};

/* An address that pods of a namespace have. */
struct pod_address {
	struct cds_lfht_node node;
	struct space *space; /* atomic */
	uint8_t address[16];
	uint32_t users; /* the writer's: pods that have it */
};

struct garbage;

struct vigie_records {
	struct cds_lfht *services;
	struct cds_lfht *addresses;
	struct cds_lfht *spaces;
	struct cds_lfht *pods;
	uint32_t serial; /* atomic, as all below */
	bool synced;
	struct vigie_records_count count;
	struct garbage *garbage; /* the writer's: pieces that wait for a grace period */
};

enum {
	KEY_MAX = 2 * (1 + VIGIE_LABEL_MAX) /* bytes of two wire labels */
};

/* NULL when there is none. `key` is `length` bytes of two wire labels. */
struct entry *vigie_table_find(const struct vigie_records *records, const uint8_t *key, size_t length);

/* The namespace of a wire label; NULL when there is none. */
struct space *vigie_table_find_space(const struct vigie_records *records, const uint8_t *label);

/* The address as pods of the namespace have it; NULL when none has. */
struct pod_address *vigie_table_find_pod(const struct vigie_records *records, const struct space *space,
					 const uint8_t *address);

/* The nodes of an address, one after another: begins with `previous` NULL, ends with NULL. */
const struct reverse *vigie_table_next_reverse(const struct vigie_records *records, const uint8_t *address,
					       struct cds_lfht_iter *iter, const struct reverse *previous);

static inline const struct blob *entry_blob(const struct entry *entry)
{
	return __atomic_load_n(&entry->blob, __ATOMIC_ACQUIRE);
}

static inline bool space_exposed(const struct space *space)
{
	return __atomic_load_n(&space->exposed, __ATOMIC_ACQUIRE);
}

static inline const struct entry *reverse_entry(const struct reverse *reverse)
{
	return (const struct entry *)(reverse->owner & ~(uintptr_t)1);
}

static inline bool reverse_is_cluster(const struct reverse *reverse)
{
	return reverse->owner & 1;
}

/* The writer's part. */

/* An empty table; NULL when memory is out. */
struct cds_lfht *vigie_table_new(void);

/* Frees a table (NULL is allowed) and, later, its nodes, which begin with their cds_lfht_node. */
void vigie_table_free(struct vigie_records *records, struct cds_lfht *table);

void vigie_table_add_entry(struct vigie_records *records, struct entry *entry);
void vigie_table_add_space(struct vigie_records *records, struct space *space);
void vigie_table_add_pod(struct vigie_records *records, struct pod_address *pod);
void vigie_table_add_reverse(struct vigie_records *records, struct reverse *reverse);

/* Takes the node of (entry, address, cluster or not) out of the table and frees it later. */
void vigie_table_remove_reverse(struct vigie_records *records, const struct entry *entry,
				const uint8_t *address, bool cluster);

/* Frees a piece (NULL is allowed) that readers may still look at, after a grace period. */
void vigie_table_retire(struct vigie_records *records, void *piece);

/* Lets the grace period of what was retired begin. */
void vigie_table_flush(struct vigie_records *records);

#endif

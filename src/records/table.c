#include "table.h"

#include <stdlib.h>

#include "vigie/clock.h"
#include "vigie/hash.h"

enum {
	TABLE_SIZE_MIN = 64, /* buckets of an empty table */
	GARBAGE_PIECES = 510 /* pieces that share one grace period: the batch fills a page */
};

struct garbage {
	struct rcu_head rcu;
	size_t count;
	void *pieces[GARBAGE_PIECES];
};

/* Readers meet a node through liburcu's tables. The acquire load of one of its fields, which the writer
 * stored last with release, orders all others for the C memory model (it is free on x86-64 and lets
 * ThreadSanitizer see it). */

struct label_key {
	const uint8_t *bytes;
	size_t length;
};

static int match_entry(struct cds_lfht_node *node, const void *key)
{
	const struct entry *entry = caa_container_of(node, struct entry, node);
	const struct label_key *label = key;

	entry_blob(entry);
	return entry->key_length == label->length && memcmp(entry->key, label->bytes, label->length) == 0;
}

static int match_space(struct cds_lfht_node *node, const void *key)
{
	const struct space *space = caa_container_of(node, struct space, node);
	const uint8_t *label = key;

	space_exposed(space);
	return space->label[0] == label[0] && memcmp(space->label + 1, label + 1, label[0]) == 0;
}

static int match_reverse(struct cds_lfht_node *node, const void *key)
{
	const struct reverse *reverse = caa_container_of(node, struct reverse, node);

	__atomic_load_n(&reverse->owner, __ATOMIC_ACQUIRE);
	return memcmp(reverse->address, key, 16) == 0;
}

struct pod_key {
	const struct space *space;
	const uint8_t *address;
};

static int match_pod(struct cds_lfht_node *node, const void *key)
{
	const struct pod_address *pod = caa_container_of(node, struct pod_address, node);
	const struct pod_key *wanted = key;

	return __atomic_load_n(&pod->space, __ATOMIC_ACQUIRE) == wanted->space &&
	       memcmp(pod->address, wanted->address, 16) == 0;
}

static uint64_t hash_pod(const struct space *space, const uint8_t *address)
{
	uint8_t key[16 + sizeof(space)];

	memcpy(key, address, 16);
	memcpy(key + 16, &space, sizeof(space));
	return vigie_hash(key, sizeof(key));
}

struct cds_lfht *vigie_table_new(void)
{
	return cds_lfht_new(TABLE_SIZE_MIN, TABLE_SIZE_MIN, 0, CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING,
			    NULL);
}

struct vigie_records *vigie_records_new(void)
{
	struct vigie_records *records = calloc(1, sizeof(*records));

	if (!records)
		return NULL;
	records->services = vigie_table_new();
	records->addresses = vigie_table_new();
	records->spaces = vigie_table_new();
	records->pods = vigie_table_new();
	if (!records->services || !records->addresses || !records->spaces || !records->pods) {
		vigie_records_free(records);
		return NULL;
	}
	records->serial = (uint32_t)vigie_clock_wall();
	if (records->serial == 0)
		records->serial = 1;
	return records;
}

void vigie_table_free(struct vigie_records *records, struct cds_lfht *table)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;

	bool online = rcu_read_ongoing();

	if (!table)
		return;
	if (!online)
		rcu_thread_online(); /* a resize under way must not free what is walked here */
	cds_lfht_for_each(table, &iter, node)
	{
		cds_lfht_del(table, node);
		vigie_table_retire(records, node);
	}
	/* Destroying waits for that resize, whose grace period waits for every thread that is online. */
	rcu_thread_offline();
	cds_lfht_destroy(table, NULL);
	if (online)
		rcu_thread_online();
}

void vigie_records_free(struct vigie_records *records)
{
	struct cds_lfht_iter iter;
	struct entry *entry;

	if (!records)
		return;
	if (records->services)
		cds_lfht_for_each_entry(records->services, &iter, entry, node)
			vigie_table_retire(records, (void *)(uintptr_t)entry->blob);
	vigie_table_free(records, records->services);
	vigie_table_free(records, records->addresses);
	vigie_table_free(records, records->spaces);
	vigie_table_free(records, records->pods);
	vigie_table_flush(records);
	rcu_barrier();
	free(records);
}

bool vigie_records_synced(const struct vigie_records *records)
{
	return __atomic_load_n(&records->synced, __ATOMIC_ACQUIRE);
}

void vigie_records_count(const struct vigie_records *records, struct vigie_records_count *count)
{
	count->services = __atomic_load_n(&records->count.services, __ATOMIC_RELAXED);
	count->endpoints = __atomic_load_n(&records->count.endpoints, __ATOMIC_RELAXED);
	count->namespaces = __atomic_load_n(&records->count.namespaces, __ATOMIC_RELAXED);
	count->pods = __atomic_load_n(&records->count.pods, __ATOMIC_RELAXED);
}

struct entry *vigie_table_find(const struct vigie_records *records, const uint8_t *key, size_t length)
{
	const struct label_key label = {key, length};
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;

	cds_lfht_lookup(records->services, vigie_hash(key, length), match_entry, &label, &iter);
	node = cds_lfht_iter_get_node(&iter);
	return node ? caa_container_of(node, struct entry, node) : NULL;
}

struct space *vigie_table_find_space(const struct vigie_records *records, const uint8_t *label)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;

	cds_lfht_lookup(records->spaces, vigie_hash(label, 1U + label[0]), match_space, label, &iter);
	node = cds_lfht_iter_get_node(&iter);
	return node ? caa_container_of(node, struct space, node) : NULL;
}

struct pod_address *vigie_table_find_pod(const struct vigie_records *records, const struct space *space,
					 const uint8_t *address)
{
	const struct pod_key key = {space, address};
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;

	cds_lfht_lookup(records->pods, hash_pod(space, address), match_pod, &key, &iter);
	node = cds_lfht_iter_get_node(&iter);
	return node ? caa_container_of(node, struct pod_address, node) : NULL;
}

const struct reverse *vigie_table_next_reverse(const struct vigie_records *records, const uint8_t *address,
					       struct cds_lfht_iter *iter, const struct reverse *previous)
{
	struct cds_lfht_node *node;

	if (previous)
		cds_lfht_next_duplicate(records->addresses, match_reverse, address, iter);
	else
		cds_lfht_lookup(records->addresses, vigie_hash(address, 16), match_reverse, address, iter);
	node = cds_lfht_iter_get_node(iter);
	return node ? caa_container_of(node, struct reverse, node) : NULL;
}

void vigie_table_add_entry(struct vigie_records *records, struct entry *entry)
{
	cds_lfht_node_init(&entry->node);
	__atomic_store_n(&entry->blob, NULL, __ATOMIC_RELEASE);
	cds_lfht_add(records->services, vigie_hash(entry->key, entry->key_length), &entry->node);
}

void vigie_table_add_space(struct vigie_records *records, struct space *space)
{
	cds_lfht_node_init(&space->node);
	__atomic_store_n(&space->exposed, space->exposed, __ATOMIC_RELEASE);
	cds_lfht_add(records->spaces, vigie_hash(space->label, 1U + space->label[0]), &space->node);
}

void vigie_table_add_pod(struct vigie_records *records, struct pod_address *pod)
{
	struct space *space = pod->space;

	cds_lfht_node_init(&pod->node);
	__atomic_store_n(&pod->space, space, __ATOMIC_RELEASE);
	cds_lfht_add(records->pods, hash_pod(space, pod->address), &pod->node);
}

void vigie_table_add_reverse(struct vigie_records *records, struct reverse *reverse)
{
	cds_lfht_node_init(&reverse->node);
	__atomic_store_n(&reverse->owner, reverse->owner, __ATOMIC_RELEASE);
	cds_lfht_add(records->addresses, vigie_hash(reverse->address, 16), &reverse->node);
}

void vigie_table_remove_reverse(struct vigie_records *records, const struct entry *entry,
				const uint8_t *address, bool cluster)
{
	uintptr_t owner = (uintptr_t)entry | cluster;
	const struct reverse *reverse = NULL;
	struct cds_lfht_iter iter;

	do {
		reverse = vigie_table_next_reverse(records, address, &iter, reverse);
	} while (reverse && reverse->owner != owner);
	if (!reverse)
		return;
	cds_lfht_del(records->addresses, cds_lfht_iter_get_node(&iter));
	vigie_table_retire(records, (void *)(uintptr_t)reverse);
}

/* ThreadSanitizer does not see that every reader has passed a quiescent state before this runs: liburcu knows
 * it by fences in a library that is not instrumented. What is freed too early AddressSanitizer finds. */
#ifdef __SANITIZE_THREAD__
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#else
#define AnnotateIgnoreReadsBegin(file, line)
#define AnnotateIgnoreReadsEnd(file, line)
#define AnnotateIgnoreWritesBegin(file, line)
#define AnnotateIgnoreWritesEnd(file, line)
#endif

static void free_garbage(struct rcu_head *head)
{
	struct garbage *garbage = caa_container_of(head, struct garbage, rcu);

	AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
	AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
	for (size_t i = 0; i < garbage->count; i++)
		free(garbage->pieces[i]);
	free(garbage);
	AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
	AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

void vigie_table_flush(struct vigie_records *records)
{
	if (!records->garbage)
		return;
	call_rcu(&records->garbage->rcu, free_garbage);
	records->garbage = NULL;
}

void vigie_table_retire(struct vigie_records *records, void *piece)
{
	if (!piece)
		return;
	if (!records->garbage) {
		records->garbage = malloc(sizeof(*records->garbage));
		if (!records->garbage) {
			/* No memory to remember it by: wait here and now. */
			synchronize_rcu();
			free(piece);
			return;
		}
		records->garbage->count = 0;
	}
	records->garbage->pieces[records->garbage->count++] = piece;
	if (records->garbage->count == GARBAGE_PIECES)
		vigie_table_flush(records);
}

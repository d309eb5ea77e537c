#include "table.h"

#include <malloc.h>
#include <stdlib.h>

#include "vigie/clock.h"
#include "vigie/hash.h"

enum {
	TABLE_SIZE_MIN = 64,  /* buckets of an empty table */
	GARBAGE_PIECES = 508, /* pieces that a batch of them holds: it fills a page */
	RETIRED_MAX = 65536,  /* bytes that may wait for readers after a publication */
	TRANSFER_SHARE = 4    /* of the table's bytes, that may wait for a transfer */
};

struct garbage {
	struct garbage *next;
	size_t count;
	void *pieces[GARBAGE_PIECES];
};

struct vigie_records *vigie_records_new(void)
{
	struct vigie_records *records = calloc(1, sizeof(*records));

	if (!records)
		return NULL;
	pthread_mutex_init(&records->publishing, NULL);
	records->serial = (uint32_t)vigie_clock_wall();
	if (records->serial == 0)
		records->serial = 1;
	return records;
}

static void retire_all(struct vigie_records *records, struct slots *table, enum vigie_bytes bytes)
{
	void *piece;

	for (uint32_t at = 0; (piece = slots_each(table, &at)) != NULL;)
		vigie_piece_retire(records, bytes, piece);
	vigie_piece_retire(records, bytes, table);
}

void vigie_records_free(struct vigie_records *records)
{
	struct entry *entry;

	if (!records)
		return;
	for (uint32_t at = 0; (entry = slots_each(records->services, &at)) != NULL;)
		vigie_piece_retire(records, VIGIE_BYTES_ANSWERS, (void *)(uintptr_t)entry->blob);
	retire_all(records, records->services, VIGIE_BYTES_SERVICES);
	retire_all(records, records->spaces, VIGIE_BYTES_NAMESPACES);
	retire_all(records, records->pods, VIGIE_BYTES_PODS);
	vigie_piece_retire(records, VIGIE_BYTES_ADDRESSES, records->reverse);
	vigie_table_reclaim(records);
	pthread_mutex_destroy(&records->publishing);
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

static uint64_t hash_label(const uint8_t *label)
{
	return vigie_hash(label, 1U + label[0]);
}

struct space *vigie_table_find_space(const struct vigie_records *records, const uint8_t *label)
{
	struct slots_walk walk;
	struct space *space;
	bool flag;

	slots_begin(&walk, &records->spaces, hash_label(label));
	while ((space = slots_next(&walk, &flag)) != NULL) {
		if (space->label[0] == label[0] && memcmp(space->label + 1, label + 1, label[0]) == 0)
			return space;
	}
	return NULL;
}

/* By the address alone, so that its namespace can be found. Few namespaces share one: pods on the host's
 * network have its address. */
static uint64_t hash_pod(const uint8_t *address)
{
	return vigie_hash(address, 16);
}

/* The next pod address of a walk that is this one. */
static struct pod_address *next_pod(struct slots_walk *walk, const uint8_t *address)
{
	struct pod_address *pod;
	bool flag;

	while ((pod = slots_next(walk, &flag)) != NULL && memcmp(pod->address, address, 16) != 0)
		;
	return pod;
}

struct pod_address *vigie_table_find_pod(const struct vigie_records *records, const struct space *space,
					 const uint8_t *address)
{
	struct slots_walk walk;
	struct pod_address *pod;

	slots_begin(&walk, &records->pods, hash_pod(address));
	while ((pod = next_pod(&walk, address)) != NULL && pod->space != space)
		;
	return pod;
}

enum vigie_status vigie_records_pod_namespace(const struct vigie_records *records, const uint8_t *address,
					      uint8_t *label)
{
	const struct space *found = NULL;
	struct slots_walk walk;
	const struct pod_address *pod;

	slots_begin(&walk, &records->pods, hash_pod(address));
	while ((pod = next_pod(&walk, address)) != NULL) {
		if (found && found != pod->space)
			return VIGIE_EEXIST;
		found = pod->space;
	}
	if (!found)
		return VIGIE_ENOENT;
	memcpy(label, found->label, 1U + found->label[0]);
	return VIGIE_OK;
}

static void fill_services(const struct vigie_records *records, const struct slots *old, struct slots *fresh)
{
	const struct entry *entry;

	for (uint32_t at = 0; (entry = slots_each(old, &at)) != NULL;)
		slots_add(fresh, vigie_hash(entry->key, entry->key_length), entry, false);
}

static void fill_spaces(const struct vigie_records *records, const struct slots *old, struct slots *fresh)
{
	const struct space *space;

	for (uint32_t at = 0; (space = slots_each(old, &at)) != NULL;)
		slots_add(fresh, hash_label(space->label), space, false);
}

static void fill_pods(const struct vigie_records *records, const struct slots *old, struct slots *fresh)
{
	const struct pod_address *pod;

	for (uint32_t at = 0; (pod = slots_each(old, &at)) != NULL;)
		slots_add(fresh, hash_pod(pod->address), pod, false);
}

enum vigie_status vigie_table_add_entry(struct vigie_records *records, struct entry *entry)
{
	enum vigie_status status =
		slots_reserve(records, &records->services, VIGIE_BYTES_SERVICES, 1, fill_services);

	if (!status)
		slots_add(records->services, vigie_hash(entry->key, entry->key_length), entry, false);
	return status;
}

void vigie_table_remove_entry(struct vigie_records *records, const struct entry *entry)
{
	slots_remove(records->services, vigie_hash(entry->key, entry->key_length), entry, false);
}

enum vigie_status vigie_table_add_space(struct vigie_records *records, struct space *space)
{
	enum vigie_status status =
		slots_reserve(records, &records->spaces, VIGIE_BYTES_NAMESPACES, 1, fill_spaces);

	if (!status)
		slots_add(records->spaces, hash_label(space->label), space, false);
	return status;
}

void vigie_table_remove_space(struct vigie_records *records, const struct space *space)
{
	slots_remove(records->spaces, hash_label(space->label), space, false);
}

enum vigie_status vigie_table_add_pod(struct vigie_records *records, struct pod_address *pod)
{
	enum vigie_status status = slots_reserve(records, &records->pods, VIGIE_BYTES_PODS, 1, fill_pods);

	if (!status)
		slots_add(records->pods, hash_pod(pod->address), pod, false);
	return status;
}

void vigie_table_remove_pod(struct vigie_records *records, const struct pod_address *pod)
{
	slots_remove(records->pods, hash_pod(pod->address), pod, false);
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

static void count_bytes(struct vigie_records *records, enum vigie_bytes bytes, void *piece, bool more)
{
	/* What malloc takes for it, with its own word. */
	uint64_t size = malloc_usable_size(piece) + sizeof(size_t);

	if (more)
		__atomic_fetch_add(&records->bytes[bytes], size, __ATOMIC_RELAXED);
	else
		__atomic_fetch_sub(&records->bytes[bytes], size, __ATOMIC_RELAXED);
}

void vigie_table_reclaim(struct vigie_records *records)
{
	struct garbage *garbage = records->garbage;

	if (!garbage)
		return;
	records->garbage = NULL;
	synchronize_rcu();
	AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
	AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
	while (garbage) {
		struct garbage *next = garbage->next;

		for (size_t i = 0; i < garbage->count; i++)
			vigie_piece_free(records, VIGIE_BYTES_RETIRED, garbage->pieces[i]);
		vigie_piece_free(records, VIGIE_BYTES_RETIRED, garbage);
		garbage = next;
	}
	AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
	AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

void vigie_table_bound(struct vigie_records *records)
{
	uint64_t retired = records->bytes[VIGIE_BYTES_RETIRED];
	uint64_t table = 0;

	if (retired <= RETIRED_MAX)
		return;
	for (int i = 0; i < VIGIE_BYTES; i++)
		table += i == VIGIE_BYTES_RETIRED ? 0 : records->bytes[i];
	if (!vigie_table_is_held(records) || retired > table / TRANSFER_SHARE)
		vigie_table_reclaim(records);
}

void *vigie_piece_new(struct vigie_records *records, enum vigie_bytes bytes, size_t size)
{
	void *piece = calloc(1, size);

	if (piece)
		count_bytes(records, bytes, piece, true);
	return piece;
}

void vigie_piece_free(struct vigie_records *records, enum vigie_bytes bytes, void *piece)
{
	if (!piece)
		return;
	count_bytes(records, bytes, piece, false);
	free(piece);
}

void vigie_piece_retire(struct vigie_records *records, enum vigie_bytes bytes, void *piece)
{
	if (!piece)
		return;
	if (!records->garbage || records->garbage->count == GARBAGE_PIECES) {
		struct garbage *garbage =
			vigie_piece_new(records, VIGIE_BYTES_RETIRED, sizeof(*records->garbage));

		if (!garbage) {
			/* No memory to remember it by: wait here and now. */
			synchronize_rcu();
			vigie_piece_free(records, bytes, piece);
			return;
		}
		garbage->next = records->garbage;
		records->garbage = garbage;
	}
	count_bytes(records, bytes, piece, false);
	count_bytes(records, VIGIE_BYTES_RETIRED, piece, true);
	records->garbage->pieces[records->garbage->count++] = piece;
}

void vigie_records_bytes(const struct vigie_records *records, uint64_t bytes[VIGIE_BYTES])
{
	for (int i = 0; i < VIGIE_BYTES; i++)
		bytes[i] = __atomic_load_n(&records->bytes[i], __ATOMIC_RELAXED);
}

const char *vigie_bytes_text(enum vigie_bytes bytes)
{
	static const char *const text[VIGIE_BYTES] = {
		[VIGIE_BYTES_ANSWERS] = "answers",       [VIGIE_BYTES_SERVICES] = "services",
		[VIGIE_BYTES_SLICES] = "endpointslices", [VIGIE_BYTES_ADDRESSES] = "addresses",
		[VIGIE_BYTES_NAMESPACES] = "namespaces", [VIGIE_BYTES_PODS] = "pods",
		[VIGIE_BYTES_RETIRED] = "retired",
	};

	return bytes < VIGIE_BYTES ? text[bytes] : "unknown";
}

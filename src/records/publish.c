/* Publication: a dirty service's new blob takes the place of its old one, and its addresses follow. */
#include "programming.h"
#include "reverse.h"
#include "store.h"
#include "vigie/clock.h"
#include "vigie/log.h"

enum {
	LARGE_ROWS = 4000, /* rows of a service that is worth a look at the clock */
	REST = 4           /* times that a large service rests for as long as compiling it took */
};

/* Calls back for each of the addresses of `blob` that `other` has not (either may be NULL). Both are sorted.
 */
typedef void each_address(struct vigie_cluster *cluster, const struct entry *entry, const uint8_t *address,
			  bool is_cluster);

static size_t each_difference(struct vigie_cluster *cluster, const struct entry *entry,
			      const struct blob *blob, const struct blob *other, each_address *each)
{
	uint32_t others = other ? other->v4_count + other->v6_count : 0;
	uint8_t address[16];
	uint8_t behind[16]; /* the other's first address that is not below */
	uint32_t at_other = 0;
	size_t count = 0;
	bool is_cluster;

	if (others > 0)
		blob_address(other, 0, behind);
	for (uint32_t at = 0; vigie_blob_next_address(blob, &at, address, &is_cluster);) {
		if (is_cluster) {
			if (other && vigie_blob_is_cluster_address(other, address))
				continue;
		} else {
			while (at_other < others && address_compare(behind, address) < 0) {
				if (++at_other < others)
					blob_address(other, at_other, behind);
			}
			if (at_other < others && memcmp(behind, address, 16) == 0)
				continue;
		}
		count++;
		if (each)
			each(cluster, entry, address, is_cluster);
	}
	return count;
}

static void show_address(struct vigie_cluster *cluster, const struct entry *entry, const uint8_t *address,
			 bool is_cluster)
{
	vigie_reverse_add(cluster->records, entry, address, is_cluster);
}

static void hide_address(struct vigie_cluster *cluster, const struct entry *entry, const uint8_t *address,
			 bool is_cluster)
{
	vigie_reverse_remove(cluster->records, entry, address, is_cluster);
}

static void forget_entry(struct vigie_cluster *cluster, struct entry *entry)
{
	vigie_table_remove_entry(cluster->records, entry);
	vigie_piece_free(cluster->records, VIGIE_BYTES_SERVICES, entry->holding);
	entry->space->users--;
	vigie_piece_retire(cluster->records, VIGIE_BYTES_SERVICES, entry);
	vigie_store_drop_space(cluster, entry->space);
}

static bool same_blob(const struct blob *a, const struct blob *b)
{
	if (!a || !b)
		return a == b;
	return a->size == b->size && memcmp(a, b, a->size) == 0;
}

/* New addresses are shown before the blob and old ones are hidden after it, so that an address which stays is
 * never missing; one without its name in the blob gives no record. */
static enum vigie_status publish_entry(struct vigie_cluster *cluster, struct entry *entry, bool *changed)
{
	const struct blob *old = entry->blob;
	struct vigie_records *records = cluster->records;
	struct blob *blob;

	if (vigie_blob_build(records, entry->holding, &blob) != VIGIE_OK)
		return VIGIE_ENOMEM;
	if (same_blob(blob, old)) {
		vigie_piece_free(records, VIGIE_BYTES_ANSWERS, blob);
		return VIGIE_OK;
	}
	if (vigie_reverse_reserve(records, each_difference(cluster, entry, blob, old, NULL)) != VIGIE_OK) {
		vigie_piece_free(records, VIGIE_BYTES_ANSWERS, blob);
		return VIGIE_ENOMEM;
	}
	each_difference(cluster, entry, blob, old, show_address);
	__atomic_store_n(&entry->blob, blob, __ATOMIC_RELEASE);
	each_difference(cluster, entry, old, blob, hide_address);
	vigie_piece_retire(records, VIGIE_BYTES_ANSWERS, (void *)(uintptr_t)old);
	*changed = true;
	return VIGIE_OK;
}

/* Compiles a service. Compiling a very large one takes milliseconds: then it rests for a few times as long,
 * so that a burst of its slices costs a share of the processor and not all of it. */
static enum vigie_status publish_holding(struct vigie_cluster *cluster, struct holding *holding,
					 bool *changed)
{
	const struct blob *blob = holding->entry->blob;
	bool large = blob && blob->row_count >= LARGE_ROWS;
	uint64_t began = large ? vigie_clock_ms() : 0;
	enum vigie_status status = publish_entry(cluster, holding->entry, changed);

	if (large) {
		uint64_t ended = vigie_clock_ms();

		holding->due_ms = ended + (ended - began) * REST;
	}
	return status;
}

/* Publishes the dirty services; those that rest (unless `all`), and what memory is out for, stay dirty.
 * Returns how long until the first of them is due, 0 when none rests. */
static uint64_t publish_services(struct vigie_cluster *cluster, bool all, bool *changed)
{
	struct holding *holding;
	struct holding *next;
	uint64_t now = cds_list_empty(&cluster->dirty) ? 0 : vigie_clock_ms();
	uint64_t wait = 0;
	size_t waiting = 0;

	cds_list_for_each_entry_safe(holding, next, &cluster->dirty, dirty)
	{
		if (!all && holding->due_ms > now) {
			uint64_t rest = holding->due_ms - now;

			wait = wait == 0 || rest < wait ? rest : wait;
			continue;
		}
		if (publish_holding(cluster, holding, changed) != VIGIE_OK) {
			waiting++;
			continue;
		}
		cds_list_del(&holding->dirty);
		holding->is_dirty = false;
		vigie_programming_count(cluster->records, holding);
		if (!holding->service && cds_list_empty(&holding->slices))
			forget_entry(cluster, holding->entry);
		vigie_table_bound(cluster->records);
	}
	if (waiting > 0)
		vigie_log(VIGIE_LOG_ERROR, "kubernetes",
			  "out of memory: %zu services keep their old records until it is there", waiting);
	return wait;
}

static bool all_swept(const struct vigie_cluster *cluster)
{
	for (size_t kind = 0; kind < VIGIE_KINDS; kind++)
		if (cluster->kinds[kind] && !cluster->swept[kind])
			return false;
	return true;
}

uint64_t vigie_cluster_publish(struct vigie_cluster *cluster)
{
	struct vigie_records *records = cluster->records;
	bool complete = !records->synced && all_swept(cluster);
	bool changed = cluster->changed;
	uint32_t now = (uint32_t)vigie_clock_wall();
	uint64_t wait;

	pthread_mutex_lock(&records->publishing);
	wait = publish_services(cluster, complete, &changed);
	/* A clock that was set back does not take the serial with it. */
	if (changed && now > records->serial)
		__atomic_store_n(&records->serial, now, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&records->publishing);
	vigie_table_bound(records);
	cluster->changed = false;
	cluster->changes += changed;
	if (complete && cds_list_empty(&cluster->dirty))
		__atomic_store_n(&records->synced, true, __ATOMIC_RELEASE);
	return wait;
}

/* Publication: a dirty service's new blob takes the place of its old one, and its addresses follow. */
#include <stdlib.h>

#include "store.h"
#include "vigie/clock.h"
#include "vigie/log.h"

/* The addresses of a blob, one after another: the cluster's, then those of endpoints. */
static bool next_address(const struct blob *blob, uint32_t *at, uint8_t *address, bool *cluster)
{
	if (!blob)
		return false;
	for (; *at < 2; ++*at) {
		if (*at == 0 ? !blob->has_v4 : !blob->has_v6)
			continue;
		if (*at == 0)
			address_from_v4(address, blob->v4);
		else
			memcpy(address, blob->v6, 16);
		*cluster = true;
		++*at;
		return true;
	}
	if (*at - 2 == blob->v4_count + blob->v6_count)
		return false;
	*cluster = false;
	blob_address(blob, *at - 2, address);
	++*at;
	return true;
}

static bool has_address(const struct blob *blob, const uint8_t *address, bool cluster)
{
	uint32_t index;

	if (!blob)
		return false;
	return cluster ? vigie_blob_is_cluster_address(blob, address)
		       : vigie_blob_find_address(blob, address, &index);
}

/* Makes the nodes of all addresses that `blob` has and `old` has not, without showing any of them. A NULL
 * ends the list that `*nodes` (owned by the caller) is. */
static enum vigie_status make_nodes(const struct entry *entry, const struct blob *blob,
				    const struct blob *old, struct reverse ***nodes)
{
	uint8_t address[16];
	size_t count = 0;
	bool cluster;

	for (uint32_t at = 0; next_address(blob, &at, address, &cluster);)
		count += !has_address(old, address, cluster);
	*nodes = calloc(count + 1, sizeof(**nodes));
	if (!*nodes)
		return VIGIE_ENOMEM;
	count = 0;
	for (uint32_t at = 0; next_address(blob, &at, address, &cluster);) {
		struct reverse *node;

		if (has_address(old, address, cluster))
			continue;
		node = calloc(1, sizeof(*node));
		if (!node)
			goto fail;
		node->owner = (uintptr_t)entry | cluster;
		memcpy(node->address, address, 16);
		(*nodes)[count++] = node;
	}
	return VIGIE_OK;
fail:
	while (count-- > 0)
		free((*nodes)[count]);
	free(*nodes);
	return VIGIE_ENOMEM;
}

static void forget_entry(struct vigie_cluster *cluster, struct entry *entry)
{
	cds_lfht_del(cluster->records->services, &entry->node);
	free(entry->holding);
	entry->space->users--;
	vigie_table_retire(cluster->records, entry);
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
	struct reverse **nodes;
	uint8_t address[16];
	struct blob *blob;
	bool is_cluster;

	if (vigie_blob_build(entry->holding, &blob) != VIGIE_OK)
		return VIGIE_ENOMEM;
	if (same_blob(blob, old)) {
		free(blob);
		return VIGIE_OK;
	}
	if (make_nodes(entry, blob, old, &nodes) != VIGIE_OK) {
		free(blob);
		return VIGIE_ENOMEM;
	}
	for (size_t i = 0; nodes[i]; i++)
		vigie_table_add_reverse(cluster->records, nodes[i]);
	free(nodes);
	__atomic_store_n(&entry->blob, blob, __ATOMIC_RELEASE);
	for (uint32_t at = 0; next_address(old, &at, address, &is_cluster);)
		if (!has_address(blob, address, is_cluster))
			vigie_table_remove_reverse(cluster->records, entry, address, is_cluster);
	vigie_table_retire(cluster->records, (void *)(uintptr_t)old);
	*changed = true;
	return VIGIE_OK;
}

/* Publishes all dirty services; what memory is out for stays dirty. */
static bool publish_services(struct vigie_cluster *cluster)
{
	struct holding *holding;
	struct holding *next;
	bool changed = false;
	size_t waiting = 0;

	cds_list_for_each_entry_safe(holding, next, &cluster->dirty, dirty)
	{
		struct entry *entry = holding->entry;

		if (publish_entry(cluster, entry, &changed) != VIGIE_OK) {
			waiting++;
			continue;
		}
		cds_list_del(&holding->dirty);
		holding->is_dirty = false;
		if (!holding->service && cds_list_empty(&holding->slices))
			forget_entry(cluster, entry);
	}
	if (waiting > 0)
		vigie_log(VIGIE_LOG_ERROR, "kubernetes",
			  "out of memory: %zu services keep their old records until it is there", waiting);
	return changed;
}

static bool all_swept(const struct vigie_cluster *cluster)
{
	for (size_t kind = 0; kind < VIGIE_KINDS; kind++)
		if (cluster->kinds[kind] && !cluster->swept[kind])
			return false;
	return true;
}

void vigie_cluster_publish(struct vigie_cluster *cluster)
{
	struct vigie_records *records = cluster->records;
	bool changed = publish_services(cluster) || cluster->changed;
	uint32_t now = (uint32_t)vigie_clock_wall();

	/* A clock that was set back does not take the serial with it. */
	if (changed && now > records->serial)
		__atomic_store_n(&records->serial, now, __ATOMIC_RELAXED);
	cluster->changed = false;
	vigie_table_flush(records);
	if (!records->synced && all_swept(cluster) && cds_list_empty(&cluster->dirty))
		__atomic_store_n(&records->synced, true, __ATOMIC_RELEASE);
}

/* Pod objects in the writer's store, for `pods verified`. */
#include <stdlib.h>

#include "store.h"

static struct pod *find_pod(const struct vigie_cluster *cluster, const uint8_t *key, size_t length)
{
	return slots_find(&cluster->pods, key, length, pod_key);
}

static void fill(const struct vigie_records *records, const struct slots *old, struct slots *fresh)
{
	slots_copy(old, fresh, pod_key);
}

/* Pods on the host's network share its address: each address counts the pods that have it. */
static bool show_address(struct vigie_cluster *cluster, struct space *space, const uint8_t *address)
{
	struct pod_address *shown = vigie_table_find_pod(cluster->records, space, address);

	if (!shown) {
		shown = vigie_piece_new(cluster->records, VIGIE_BYTES_PODS, sizeof(*shown));
		if (!shown)
			return false;
		shown->space = space;
		memcpy(shown->address, address, 16);
		if (vigie_table_add_pod(cluster->records, shown) != VIGIE_OK) {
			vigie_piece_free(cluster->records, VIGIE_BYTES_PODS, shown);
			return false;
		}
	}
	shown->users++;
	return true;
}

static void hide_addresses(struct vigie_cluster *cluster, const struct pod *pod, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct pod_address *shown =
			vigie_table_find_pod(cluster->records, pod->space, pod->data + 16 * (size_t)i);

		if (--shown->users > 0)
			continue;
		vigie_table_remove_pod(cluster->records, shown);
		vigie_piece_retire(cluster->records, VIGIE_BYTES_PODS, shown);
	}
}

static void drop_pod(struct vigie_cluster *cluster, struct pod *pod)
{
	hide_addresses(cluster, pod, pod->address_count);
	pod->space->users--;
	vigie_store_drop_space(cluster, pod->space);
	slots_remove(cluster->pods, slots_hash(pod, pod_key), pod, false);
	vigie_piece_free(cluster->records, VIGIE_BYTES_PODS, pod);
	__atomic_fetch_sub(&cluster->records->count.pods, 1, __ATOMIC_RELAXED);
	cluster->changed = true;
}

/* Shows all addresses of a pod, or none. */
static bool show_addresses(struct vigie_cluster *cluster, const struct pod *pod)
{
	for (uint32_t i = 0; i < pod->address_count; i++) {
		if (show_address(cluster, pod->space, pod->data + 16 * (size_t)i))
			continue;
		hide_addresses(cluster, pod, i);
		return false;
	}
	return true;
}

static struct pod *pack(struct vigie_cluster *cluster, const struct vigie_pod *pod, const uint8_t *key,
			size_t key_length)
{
	struct pod *packed = vigie_piece_new(cluster->records, VIGIE_BYTES_PODS,
					     sizeof(*packed) + 16 * pod->address_count + key_length);

	if (!packed)
		return NULL;
	packed->address_count = (uint32_t)pod->address_count;
	packed->key_length = (uint16_t)key_length;
	for (size_t i = 0; i < pod->address_count; i++)
		memcpy(packed->data + 16 * i, pod->addresses[i].bytes, 16);
	memcpy(packed->data + 16 * pod->address_count, key, key_length);
	return packed;
}

enum vigie_status vigie_cluster_put_pod(struct vigie_cluster *cluster, const struct vigie_pod *pod)
{
	uint8_t label[1 + VIGIE_LABEL_MAX];
	uint8_t key[OBJECT_KEY_MAX];
	size_t key_length = vigie_store_key(key, pod->namespace, pod->name);
	struct pod *packed;
	struct pod *held;

	if (key_length == 0 || vigie_store_label(label, pod->namespace) == 0)
		return VIGIE_EINVAL;
	held = find_pod(cluster, key, key_length);
	packed = pack(cluster, pod, key, key_length);
	if (!packed)
		return VIGIE_ENOMEM;
	packed->seen = cluster->generation[VIGIE_KIND_POD];
	if (held && store_is_same(held, pod_size(held), packed, pod_size(packed), POD_SAME)) {
		held->seen = packed->seen;
		vigie_piece_free(cluster->records, VIGIE_BYTES_PODS, packed);
		return VIGIE_OK;
	}
	if (slots_reserve(cluster->records, &cluster->pods, VIGIE_BYTES_PODS, 1, fill) == VIGIE_OK)
		packed->space = vigie_store_space(cluster, label);
	if (!packed->space || !show_addresses(cluster, packed)) {
		if (packed->space)
			vigie_store_drop_space(cluster, packed->space);
		vigie_piece_free(cluster->records, VIGIE_BYTES_PODS, packed);
		return VIGIE_ENOMEM;
	}
	packed->space->users++;
	/* The old one goes second: an address that both have is never missing. */
	if (held)
		drop_pod(cluster, held);
	slots_add(cluster->pods, slots_hash(packed, pod_key), packed, false);
	__atomic_fetch_add(&cluster->records->count.pods, 1, __ATOMIC_RELAXED);
	cluster->changed = true;
	return VIGIE_OK;
}

void vigie_store_delete_pod(struct vigie_cluster *cluster, const char *namespace, const char *name)
{
	uint8_t key[OBJECT_KEY_MAX];
	size_t length = vigie_store_key(key, namespace, name);
	struct pod *pod = length ? find_pod(cluster, key, length) : NULL;

	if (pod)
		drop_pod(cluster, pod);
}

void vigie_store_sweep_pods(struct vigie_cluster *cluster)
{
	struct pod *pod;

	for (uint32_t at = 0; (pod = slots_each(cluster->pods, &at)) != NULL;) {
		if (pod->seen != cluster->generation[VIGIE_KIND_POD])
			drop_pod(cluster, pod);
	}
}

/* EndpointSlice objects in the writer's store. */
#include <stdlib.h>

#include "store.h"
#include "vigie/log.h"

static struct slice *find_slice(const struct vigie_cluster *cluster, const uint8_t *key, size_t length)
{
	return slots_find(&cluster->slices, key, length, slice_key);
}

static void fill(const struct vigie_records *records, const struct slots *old, struct slots *fresh)
{
	slots_copy(old, fresh, slice_key);
}

/* The label that an endpoint is known by, if it has one of its own: its hostname, else its pod's name if that
 * is asked for. A pod's name may be longer than a label or have dots in it: it is passed over then. */
static size_t read_label(const struct vigie_cluster *cluster, const struct vigie_endpoint *endpoint,
			 uint8_t *label)
{
	uint8_t generated[ADDRESS_LABEL_MAX];
	size_t length = vigie_store_label(label, endpoint->hostname);

	if (length == 0 && cluster->endpoint_pod_names)
		length = vigie_store_label(label, endpoint->pod);
	if (length == 0)
		return 0;
	/* Spelling the generated name out would make two names of one. */
	if (vigie_address_to_label(endpoint->address.bytes, generated) == length &&
	    memcmp(generated, label, length) == 0)
		return 0;
	return length;
}

/* A zone's name as labels, folded, behind their length: "corp.example" is 13 4corp7example. 0 when it does
 * not fit in a domain name, so that nobody can ask for it. */
static size_t read_zone(const char *zone, uint8_t out[1 + VIGIE_NAME_MAX])
{
	struct vigie_name name;

	if (!zone || !*zone || strchr(zone, '\\') || vigie_name_from_text(&name, zone) != VIGIE_OK ||
	    name.length < 2)
		return 0;
	out[0] = (uint8_t)(name.length - 1);
	memcpy(out + 1, name.bytes, out[0]);
	return 1U + out[0];
}

/* A slice being packed: what its parts take, and the parts that are written. */
struct packing {
	uint8_t *endpoints;
	size_t endpoints_length;
	uint8_t *zones;
	size_t zones_length;
	uint32_t zone_count;
	uint32_t endpoint_count;
};

/* The zone's number in the slice, from 1; 0 for none. Slices have few zones. */
static uint16_t add_zone(struct packing *packing, const char *text)
{
	uint8_t zone[1 + VIGIE_NAME_MAX];
	size_t length = read_zone(text, zone);
	uint8_t *at = packing->zones;

	if (length == 0)
		return 0;
	for (uint32_t i = 1; i <= packing->zone_count; i++, at += 1 + at[0])
		if (at[0] == zone[0] && memcmp(at, zone, length) == 0)
			return (uint16_t)i;
	if (packing->zone_count == UINT16_MAX)
		return 0;
	memcpy(at, zone, length);
	packing->zones_length += length;
	return (uint16_t)++packing->zone_count;
}

static void add_endpoint(const struct vigie_cluster *cluster, struct packing *packing,
			 const struct vigie_endpoint *endpoint)
{
	uint8_t *at = packing->endpoints + packing->endpoints_length;
	bool v4 = vigie_address_is_v4(&endpoint->address);
	uint16_t zone = add_zone(packing, endpoint->zone);
	uint8_t label[1 + VIGIE_LABEL_MAX];
	size_t label_length = read_label(cluster, endpoint, label);

	*at++ = (uint8_t)((v4 ? 0 : ENDPOINT_V6) | (label_length ? ENDPOINT_NAMED : 0));
	*at++ = (uint8_t)(zone >> 8);
	*at++ = (uint8_t)zone;
	memcpy(at, endpoint->address.bytes + (v4 ? 12 : 0), v4 ? 4 : 16);
	at += v4 ? 4 : 16;
	memcpy(at, label, label_length);
	at += label_length;
	packing->endpoints_length = (size_t)(at - packing->endpoints);
	packing->endpoint_count++;
}

/* Zones never take more than their texts with one more byte at each end. */
static size_t zones_bound(const struct vigie_slice *slice)
{
	size_t bound = 0;

	for (size_t i = 0; i < slice->endpoint_count; i++)
		bound += slice->endpoints[i].zone ? strnlen(slice->endpoints[i].zone, VIGIE_NAME_MAX) + 2 : 0;
	return bound;
}

static struct slice *pack(const struct vigie_cluster *cluster, const struct vigie_slice *slice,
			  const uint8_t *key, size_t key_length)
{
	enum { ENDPOINT_MAX = 3 + 16 + 1 + VIGIE_LABEL_MAX };
	size_t ports_length = vigie_store_ports_size(slice->ports, slice->port_count);
	struct packing packing = {0};
	struct slice *packed = NULL;

	packing.endpoints = malloc(slice->endpoint_count * ENDPOINT_MAX + 1);
	packing.zones = malloc(zones_bound(slice) + 1);
	if (!packing.endpoints || !packing.zones)
		goto done;
	for (size_t i = 0; i < slice->endpoint_count; i++)
		if (slice->endpoints[i].ready)
			add_endpoint(cluster, &packing, &slice->endpoints[i]);
	packed = vigie_piece_new(cluster->records, VIGIE_BYTES_SLICES,
				 sizeof(*packed) + ports_length + packing.zones_length +
					 packing.endpoints_length + key_length);
	if (!packed)
		goto done;
	packed->endpoint_count = packing.endpoint_count;
	packed->port_count = slice->port_count ? (uint32_t)slice->port_count : 1;
	packed->ports_length = (uint32_t)ports_length;
	packed->zone_count = packing.zone_count;
	packed->zones_length = (uint32_t)packing.zones_length;
	packed->endpoints_length = (uint32_t)packing.endpoints_length;
	packed->key_length = (uint16_t)key_length;
	vigie_store_pack_ports(packed->data, slice->ports, slice->port_count);
	memcpy(packed->data + ports_length, packing.zones, packing.zones_length);
	memcpy(packed->data + ports_length + packing.zones_length, packing.endpoints,
	       packing.endpoints_length);
	memcpy(packed->data + ports_length + packing.zones_length + packing.endpoints_length, key,
	       key_length);
done:
	free(packing.endpoints);
	free(packing.zones);
	return packed;
}

static void drop_slice(struct vigie_cluster *cluster, struct slice *slice)
{
	cds_list_del(&slice->list);
	vigie_store_touch(cluster, slice->entry);
	slots_remove(cluster->slices, slots_hash(slice, slice_key), slice, false);
	__atomic_fetch_sub(&cluster->records->count.endpoints, slice->endpoint_count, __ATOMIC_RELAXED);
	vigie_piece_free(cluster->records, VIGIE_BYTES_SLICES, slice);
}

static enum vigie_status put(struct vigie_cluster *cluster, const struct vigie_slice *slice,
			     const uint8_t *key, size_t key_length, struct slice *held)
{
	uint8_t service_key[KEY_MAX];
	size_t service_length = vigie_store_label(service_key, slice->service);
	size_t namespace_length =
		service_length ? vigie_store_label(service_key + service_length, slice->namespace) : 0;
	struct slice *packed;

	if (namespace_length == 0) {
		vigie_log(VIGIE_LOG_WARNING, "kubernetes",
			  "endpointslice %s/%s is skipped: its service's name \"%s\" is no DNS label",
			  slice->namespace, slice->name, slice->service);
		return VIGIE_EINVAL;
	}
	packed = pack(cluster, slice, key, key_length);
	if (!packed)
		return VIGIE_ENOMEM;
	if (slots_reserve(cluster->records, &cluster->slices, VIGIE_BYTES_SLICES, 1, fill) == VIGIE_OK)
		packed->entry = vigie_store_entry(cluster, service_key, service_length,
						  service_length + namespace_length);
	if (!packed->entry) {
		vigie_piece_free(cluster->records, VIGIE_BYTES_SLICES, packed);
		return VIGIE_ENOMEM;
	}
	packed->seen = cluster->generation[VIGIE_KIND_SLICE];
	if (held && held->entry == packed->entry &&
	    store_is_same(held, slice_size(held), packed, slice_size(packed), SLICE_SAME)) {
		held->seen = packed->seen;
		vigie_piece_free(cluster->records, VIGIE_BYTES_SLICES, packed);
		return VIGIE_OK;
	}
	if (held)
		drop_slice(cluster, held);
	/* The first list tells of what happened long ago. */
	if (cluster->records->synced && slice->triggered > 0 &&
	    (packed->entry->holding->triggered == 0 || slice->triggered < packed->entry->holding->triggered))
		packed->entry->holding->triggered = slice->triggered;
	cds_list_add_tail(&packed->list, &packed->entry->holding->slices);
	vigie_store_touch(cluster, packed->entry);
	slots_add(cluster->slices, slots_hash(packed, slice_key), packed, false);
	__atomic_fetch_add(&cluster->records->count.endpoints, packed->endpoint_count, __ATOMIC_RELAXED);
	return VIGIE_OK;
}

enum vigie_status vigie_cluster_put_slice(struct vigie_cluster *cluster, const struct vigie_slice *slice)
{
	uint8_t key[OBJECT_KEY_MAX];
	size_t key_length = vigie_store_key(key, slice->namespace, slice->name);
	struct slice *held;

	if (key_length == 0)
		return VIGIE_EINVAL;
	held = find_slice(cluster, key, key_length);
	if (!slice->service || !*slice->service) {
		if (held)
			drop_slice(cluster, held);
		return VIGIE_OK;
	}
	return put(cluster, slice, key, key_length, held);
}

void vigie_store_delete_slice(struct vigie_cluster *cluster, const char *namespace, const char *name)
{
	uint8_t key[OBJECT_KEY_MAX];
	size_t length = vigie_store_key(key, namespace, name);
	struct slice *slice = length ? find_slice(cluster, key, length) : NULL;

	if (slice)
		drop_slice(cluster, slice);
}

void vigie_store_sweep_slices(struct vigie_cluster *cluster)
{
	struct slice *slice;

	for (uint32_t at = 0; (slice = slots_each(cluster->slices, &at)) != NULL;) {
		if (slice->seen != cluster->generation[VIGIE_KIND_SLICE])
			drop_slice(cluster, slice);
	}
}

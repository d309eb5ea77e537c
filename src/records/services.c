/* Service objects in the writer's store. */
#include <stdlib.h>

#include "store.h"
#include "vigie/log.h"

/* The wire labels SERVICE NAMESPACE; returns their length, 0 when either is no label. */
static size_t make_key(uint8_t key[KEY_MAX], const char *name, const char *namespace, size_t *service_length)
{
	size_t rest;

	*service_length = vigie_store_label(key, name);
	if (*service_length == 0)
		return 0;
	rest = vigie_store_label(key + *service_length, namespace);
	return rest ? *service_length + rest : 0;
}

/* Reads the external name in wire form; 0 bytes when there is none to be used. */
static enum service_kind read_external(const struct vigie_service *service, struct vigie_name *target)
{
	struct vigie_address address;

	target->length = 0;
	/* An address is no name (Kubernetes warns of it): CoreDNS answers NXDOMAIN, and so do we. */
	if (service->external_name && vigie_address_from_text(&address, service->external_name) == VIGIE_OK)
		return SERVICE_ABSENT;
	if (!service->external_name || vigie_name_from_text(target, service->external_name) != VIGIE_OK ||
	    target->labels == 0) {
		target->length = 0;
		vigie_log(VIGIE_LOG_WARNING, "kubernetes",
			  "service %s/%s: externalName \"%s\" is no domain name: it has no records until "
			  "that is "
			  "corrected",
			  service->namespace, service->name,
			  service->external_name ? service->external_name : "");
	}
	return SERVICE_EXTERNAL;
}

static struct service *pack(struct vigie_cluster *cluster, const struct vigie_service *service)
{
	size_t ports_length = vigie_store_ports_size(service->ports, service->port_count);
	enum service_kind kind = SERVICE_CLUSTER_IP;
	struct vigie_name target = {.length = 0};
	struct service *packed;

	if (service->type == VIGIE_SERVICE_EXTERNAL_NAME)
		kind = read_external(service, &target);
	else if (service->headless)
		kind = SERVICE_HEADLESS;
	else if (service->address_count == 0)
		kind = SERVICE_ABSENT;
	packed = vigie_piece_new(cluster->records, VIGIE_BYTES_SERVICES,
				 sizeof(*packed) + ports_length + target.length);
	if (!packed)
		return NULL;
	packed->kind = (uint8_t)kind;
	for (size_t i = 0; kind == SERVICE_CLUSTER_IP && i < service->address_count; i++) {
		const uint8_t *address = service->addresses[i].bytes;

		if (address_is_v4(address)) {
			packed->has_v4 = true;
			memcpy(packed->v4, address + 12, 4);
		} else {
			packed->has_v6 = true;
			memcpy(packed->v6, address, 16);
		}
	}
	packed->port_count = service->port_count ? (uint32_t)service->port_count : 1;
	packed->ports_length = (uint32_t)ports_length;
	packed->target_length = target.length;
	vigie_store_pack_ports(packed->data, service->ports, service->port_count);
	memcpy(packed->data + ports_length, target.bytes, target.length);
	return packed;
}

enum vigie_status vigie_cluster_put_service(struct vigie_cluster *cluster,
					    const struct vigie_service *service)
{
	uint8_t key[KEY_MAX];
	size_t service_length;
	size_t length = make_key(key, service->name, service->namespace, &service_length);
	struct service *packed;
	struct service *held;
	struct entry *entry;

	if (length == 0) {
		vigie_log(VIGIE_LOG_WARNING, "kubernetes",
			  "service %s/%s is skipped: its name is no DNS label",
			  service->namespace ? service->namespace : "", service->name ? service->name : "");
		return VIGIE_EINVAL;
	}
	packed = pack(cluster, service);
	if (!packed)
		return VIGIE_ENOMEM;
	packed->seen = cluster->generation[VIGIE_KIND_SERVICE];
	entry = vigie_store_entry(cluster, key, service_length, length);
	if (!entry) {
		vigie_piece_free(cluster->records, VIGIE_BYTES_SERVICES, packed);
		return VIGIE_ENOMEM;
	}
	held = entry->holding->service;
	if (held && store_is_same(held, service_size(held), packed, service_size(packed), SERVICE_SAME)) {
		held->seen = packed->seen;
		vigie_piece_free(cluster->records, VIGIE_BYTES_SERVICES, packed);
		return VIGIE_OK;
	}
	if (!held)
		__atomic_fetch_add(&cluster->records->count.services, 1, __ATOMIC_RELAXED);
	vigie_piece_free(cluster->records, VIGIE_BYTES_SERVICES, held);
	entry->holding->service = packed;
	vigie_store_touch(cluster, entry);
	return VIGIE_OK;
}

static void drop_service(struct vigie_cluster *cluster, struct entry *entry)
{
	vigie_piece_free(cluster->records, VIGIE_BYTES_SERVICES, entry->holding->service);
	entry->holding->service = NULL;
	__atomic_fetch_sub(&cluster->records->count.services, 1, __ATOMIC_RELAXED);
	vigie_store_touch(cluster, entry);
}

void vigie_store_delete_service(struct vigie_cluster *cluster, const char *namespace, const char *name)
{
	uint8_t key[KEY_MAX];
	size_t service_length;
	size_t length = make_key(key, name, namespace, &service_length);
	struct entry *entry = length ? vigie_table_find(cluster->records, key, length) : NULL;

	if (entry && entry->holding && entry->holding->service)
		drop_service(cluster, entry);
}

void vigie_store_sweep_services(struct vigie_cluster *cluster)
{
	struct entry *entry;

	for (uint32_t at = 0; (entry = slots_each(cluster->records->services, &at)) != NULL;) {
		if (entry->holding && entry->holding->service &&
		    entry->holding->service->seen != cluster->generation[VIGIE_KIND_SERVICE])
			drop_service(cluster, entry);
	}
}

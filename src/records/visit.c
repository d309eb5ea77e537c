/* The writer's store, given back as the objects that it was made of, as far as DNS knows them. */
#include <arpa/inet.h>

#include "store.h"
#include "vigie/arena.h"

struct visit {
	struct vigie_arena *arena;
	vigie_cluster_visitor *visitor;
	void *argument;
};

static const char *label_text(struct visit *visit, const uint8_t *label)
{
	return vigie_arena_strndup(visit->arena, (const char *)label + 1, label[0]);
}

/* "NAMESPACE/NAME" taken apart. */
static bool split_key(struct visit *visit, const void *held, slots_key *key_of, const char **namespace,
		      const char **name)
{
	size_t length;
	const uint8_t *key = key_of(held, &length);
	const char *text = vigie_arena_strndup(visit->arena, (const char *)key, length);
	const char *slash = text ? strchr(text, '/') : NULL;

	*namespace = slash ? vigie_arena_strndup(visit->arena, text, (size_t)(slash - text)) : NULL;
	*name = slash ? slash + 1 : NULL;
	return *namespace != NULL;
}

static struct vigie_port *make_ports(struct visit *visit, const uint8_t *packed, size_t *count)
{
	static const char *const protocols[] = {[PROTOCOL_NONE] = "?",
						[PROTOCOL_TCP] = "TCP",
						[PROTOCOL_UDP] = "UDP",
						[PROTOCOL_SCTP] = "SCTP"};
	struct vigie_port *ports = vigie_arena_alloc(visit->arena, (*count + 1) * sizeof(*ports));

	/* The stand-in for no ports at all. */
	if (*count == 1 && packed[PORT_PROTOCOL] == PROTOCOL_NONE && !packed[PORT_HAS_NUMBER] &&
	    packed[PORT_NAME] == 0)
		*count = 0;
	for (size_t i = 0; ports && i < *count; i++, packed += port_size(packed)) {
		ports[i].name = label_text(visit, packed + PORT_NAME);
		ports[i].protocol = protocols[packed[PORT_PROTOCOL]];
		ports[i].has_number = packed[PORT_HAS_NUMBER];
		ports[i].number = port_number(packed);
		if (!ports[i].name)
			return NULL;
	}
	return ports;
}

/* Wire labels behind their length, as slices keep zones and services their external name. */
static const char *name_text(struct visit *visit, const uint8_t *wire, size_t length)
{
	uint8_t name[VIGIE_NAME_MAX + 1] = {0};
	char text[VIGIE_NAME_TEXT_MAX];

	memcpy(name, wire, length);
	return vigie_arena_strdup(visit->arena, vigie_name_to_text(name, text));
}

static bool visit_service(struct visit *visit, const struct entry *entry)
{
	const struct service *held = entry->holding->service;
	union vigie_object object = {.service = {.type = held->kind == SERVICE_EXTERNAL
								 ? VIGIE_SERVICE_EXTERNAL_NAME
								 : VIGIE_SERVICE_CLUSTER_IP,
						 .headless = held->kind == SERVICE_HEADLESS,
						 .port_count = held->port_count}};
	struct vigie_service *service = &object.service;

	service->name = label_text(visit, entry->key);
	service->namespace = label_text(visit, entry->key + 1 + entry->key[0]);
	service->ports = make_ports(visit, held->data, &service->port_count);
	if (held->has_v4)
		address_from_v4(service->addresses[service->address_count++].bytes, held->v4);
	if (held->has_v6)
		memcpy(service->addresses[service->address_count++].bytes, held->v6, 16);
	service->external_name =
		held->target_length ? name_text(visit, held->data + held->ports_length, held->target_length)
				    : "";
	return service->name && service->namespace && service->ports && service->external_name &&
	       visit->visitor(visit->argument, VIGIE_KIND_SERVICE, &object);
}

static bool make_endpoints(struct visit *visit, const struct slice *held, struct vigie_endpoint *endpoints)
{
	const char **zones = vigie_arena_alloc(visit->arena, (held->zone_count + 1) * sizeof(*zones));
	const uint8_t *zone = slice_zones(held);
	const uint8_t *at = slice_endpoints(held);

	for (uint32_t i = 1; zones && i <= held->zone_count; i++, zone += 1 + zone[0]) {
		zones[i] = name_text(visit, zone + 1, zone[0]);
		if (!zones[i])
			return false;
	}
	for (uint32_t i = 0; zones && i < held->endpoint_count; i++) {
		uint8_t flags = at[0];

		endpoints[i].ready = true;
		endpoints[i].zone = zones[at[1] << 8 | at[2]];
		at += 3;
		if (flags & ENDPOINT_V6)
			memcpy(endpoints[i].address.bytes, at, 16);
		else
			address_from_v4(endpoints[i].address.bytes, at);
		at += flags & ENDPOINT_V6 ? 16 : 4;
		if (!(flags & ENDPOINT_NAMED))
			continue;
		endpoints[i].hostname = label_text(visit, at);
		if (!endpoints[i].hostname)
			return false;
		at += 1 + at[0];
	}
	return zones != NULL;
}

static bool visit_slice(struct visit *visit, const struct slice *held)
{
	struct vigie_endpoint *endpoints =
		vigie_arena_alloc(visit->arena, (held->endpoint_count + 1) * sizeof(*endpoints));
	union vigie_object object = {.slice = {.endpoints = endpoints,
					       .endpoint_count = held->endpoint_count,
					       .port_count = held->port_count}};
	struct vigie_slice *slice = &object.slice;

	slice->service = label_text(visit, held->entry->key);
	slice->ports = make_ports(visit, held->data, &slice->port_count);
	return endpoints && slice->service && slice->ports && make_endpoints(visit, held, endpoints) &&
	       split_key(visit, held, slice_key, &slice->namespace, &slice->name) &&
	       visit->visitor(visit->argument, VIGIE_KIND_SLICE, &object);
}

static bool visit_pod(struct visit *visit, const struct pod *held)
{
	struct vigie_address *addresses =
		vigie_arena_alloc(visit->arena, (held->address_count + 1) * sizeof(*addresses));
	union vigie_object object = {.pod = {.addresses = addresses, .address_count = held->address_count}};

	if (!addresses)
		return false;
	memcpy(addresses, held->data, 16 * (size_t)held->address_count);
	return split_key(visit, held, pod_key, &object.pod.namespace, &object.pod.name) &&
	       visit->visitor(visit->argument, VIGIE_KIND_POD, &object);
}

enum vigie_status vigie_cluster_visit(struct vigie_cluster *cluster, vigie_cluster_visitor *visitor,
				      void *argument)
{
	struct visit visit = {vigie_arena_new(), visitor, argument};
	struct entry *entry;
	struct slice *slice;
	struct space *space;
	struct pod *pod;
	bool good = visit.arena != NULL;

	if (!good)
		return VIGIE_ENOMEM;
	for (uint32_t at = 0; (space = slots_each(cluster->records->spaces, &at)) != NULL;) {
		union vigie_object object = {.namespace = label_text(&visit, space->label)};

		good = good && (!space->present ||
				(object.namespace && visitor(argument, VIGIE_KIND_NAMESPACE, &object)));
		vigie_arena_reset(visit.arena);
	}
	for (uint32_t at = 0; (entry = slots_each(cluster->records->services, &at)) != NULL;) {
		if (entry->holding && entry->holding->service)
			good = good && visit_service(&visit, entry);
		vigie_arena_reset(visit.arena);
	}
	for (uint32_t at = 0; (slice = slots_each(cluster->slices, &at)) != NULL;) {
		good = good && visit_slice(&visit, slice);
		vigie_arena_reset(visit.arena);
	}
	for (uint32_t at = 0; (pod = slots_each(cluster->pods, &at)) != NULL;) {
		good = good && visit_pod(&visit, pod);
		vigie_arena_reset(visit.arena);
	}
	vigie_arena_free(visit.arena);
	return good ? VIGIE_OK : VIGIE_ENOMEM;
}

uint64_t vigie_cluster_changes(const struct vigie_cluster *cluster)
{
	return cluster->changes;
}

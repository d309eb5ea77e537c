#include "encode_proto.h"

#include <arpa/inet.h>
#include <string.h>

#include "decode.h"
#include "kubernetes.pb-c.h"

static char *borrow(const char *text)
{
	return (char *)(uintptr_t)text; /* protobuf-c's structs know no const */
}

static char *address_text(const struct vigie_address *address, struct vigie_arena *arena)
{
	bool v4 = vigie_address_is_v4(address);
	char text[INET6_ADDRSTRLEN];

	inet_ntop(v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? 12 : 0), text, sizeof(text));
	return vigie_arena_strdup(arena, text);
}

/* An array of pointers to as many pieces of a size; NULL when memory is out. */
static void *list_of(size_t count, size_t size, struct vigie_arena *arena)
{
	void **list = vigie_arena_alloc(arena, (count + 1) * sizeof(*list));
	uint8_t *pieces = vigie_arena_alloc(arena, count * size + 1);

	for (size_t i = 0; list && pieces && i < count; i++)
		list[i] = pieces + i * size;
	return pieces ? list : NULL;
}

static ProtobufCMessage *make_service(const struct vigie_service *from, Kube__ObjectMeta *metadata,
				      struct vigie_arena *arena)
{
	Kube__Service *service = vigie_arena_alloc(arena, sizeof(*service));
	Kube__ServiceSpec *spec = vigie_arena_alloc(arena, sizeof(*spec));
	Kube__ServicePort **ports = list_of(from->port_count, sizeof(**ports), arena);
	char **addresses = vigie_arena_alloc(arena, 3 * sizeof(*addresses));

	if (!service || !spec || !ports || !addresses)
		return NULL;
	kube__service__init(service);
	kube__service_spec__init(spec);
	service->metadata = metadata;
	service->spec = spec;
	spec->type = borrow(from->type == VIGIE_SERVICE_EXTERNAL_NAME ? "ExternalName" : "ClusterIP");
	spec->external_name = borrow(from->external_name);
	spec->cluster_ip = borrow(from->headless ? "None" : "");
	spec->cluster_ips = addresses;
	for (size_t i = 0; i < from->address_count; i++) {
		addresses[i] = address_text(&from->addresses[i], arena);
		if (!addresses[i])
			return NULL;
		spec->n_cluster_ips++;
	}
	spec->ports = ports;
	spec->n_ports = from->port_count;
	for (size_t i = 0; i < from->port_count; i++) {
		kube__service_port__init(ports[i]);
		ports[i]->name = borrow(from->ports[i].name);
		ports[i]->protocol = borrow(from->ports[i].protocol);
		ports[i]->has_port = from->ports[i].has_number;
		ports[i]->port = from->ports[i].number;
	}
	return &service->base;
}

static bool make_endpoint(const struct vigie_endpoint *from, Kube__Endpoint *endpoint,
			  struct vigie_arena *arena)
{
	kube__endpoint__init(endpoint);
	endpoint->addresses = vigie_arena_alloc(arena, sizeof(*endpoint->addresses));
	if (!endpoint->addresses)
		return false;
	endpoint->addresses[0] = address_text(&from->address, arena);
	endpoint->n_addresses = 1;
	endpoint->hostname = borrow(from->hostname);
	endpoint->zone = borrow(from->zone);
	return endpoint->addresses[0] != NULL;
}

static ProtobufCMessage *make_slice(const struct vigie_slice *from, Kube__ObjectMeta *metadata,
				    struct vigie_arena *arena)
{
	Kube__EndpointSlice *slice = vigie_arena_alloc(arena, sizeof(*slice));
	Kube__EndpointPort **ports = list_of(from->port_count, sizeof(**ports), arena);
	Kube__Endpoint **endpoints = list_of(from->endpoint_count, sizeof(**endpoints), arena);
	Kube__Pair **labels = list_of(1, sizeof(**labels), arena);

	if (!slice || !ports || !endpoints || !labels)
		return NULL;
	kube__endpoint_slice__init(slice);
	kube__pair__init(labels[0]);
	labels[0]->key = borrow(decode_service_label);
	labels[0]->value = borrow(from->service);
	metadata->labels = labels;
	metadata->n_labels = 1;
	slice->metadata = metadata;
	slice->ports = ports;
	slice->n_ports = from->port_count;
	slice->endpoints = endpoints;
	slice->n_endpoints = from->endpoint_count;
	for (size_t i = 0; i < from->port_count; i++) {
		kube__endpoint_port__init(ports[i]);
		ports[i]->name = borrow(from->ports[i].name);
		ports[i]->protocol = borrow(from->ports[i].protocol);
		ports[i]->has_port = from->ports[i].has_number;
		ports[i]->port = from->ports[i].number;
	}
	for (size_t i = 0; i < from->endpoint_count; i++)
		if (!make_endpoint(&from->endpoints[i], endpoints[i], arena))
			return NULL;
	return &slice->base;
}

static ProtobufCMessage *make_pod(const struct vigie_pod *from, Kube__ObjectMeta *metadata,
				  struct vigie_arena *arena)
{
	Kube__Pod *pod = vigie_arena_alloc(arena, sizeof(*pod));
	Kube__PodStatus *status = vigie_arena_alloc(arena, sizeof(*status));
	Kube__PodIP **ips = list_of(from->address_count, sizeof(**ips), arena);

	if (!pod || !status || !ips)
		return NULL;
	kube__pod__init(pod);
	kube__pod_status__init(status);
	pod->metadata = metadata;
	pod->status = status;
	status->pod_ips = ips;
	status->n_pod_ips = from->address_count;
	for (size_t i = 0; i < from->address_count; i++) {
		kube__pod_ip__init(ips[i]);
		ips[i]->ip = address_text(&from->addresses[i], arena);
		if (!ips[i]->ip)
			return NULL;
	}
	return &pod->base;
}

static ProtobufCMessage *make_object(enum vigie_kind kind, const union vigie_object *object,
				     Kube__ObjectMeta *metadata, struct vigie_arena *arena)
{
	Kube__Namespace *namespace;

	switch (kind) {
	case VIGIE_KIND_SERVICE:
		metadata->namespace_ = borrow(object->service.namespace);
		metadata->name = borrow(object->service.name);
		return make_service(&object->service, metadata, arena);
	case VIGIE_KIND_SLICE:
		metadata->namespace_ = borrow(object->slice.namespace);
		metadata->name = borrow(object->slice.name);
		return make_slice(&object->slice, metadata, arena);
	case VIGIE_KIND_POD:
		metadata->namespace_ = borrow(object->pod.namespace);
		metadata->name = borrow(object->pod.name);
		return make_pod(&object->pod, metadata, arena);
	case VIGIE_KIND_NAMESPACE:
		namespace
		= vigie_arena_alloc(arena, sizeof(*namespace));
		metadata->name = borrow(object->namespace);
		if (!namespace)
			return NULL;
		kube__namespace__init(namespace);
		namespace->metadata = metadata;
		return &namespace->base;
	case VIGIE_KINDS:
		break;
	}
	return NULL;
}

/* Packs a message into the arena, with room for `before` bytes in front of it. */
static bool pack(const ProtobufCMessage *message, size_t before, struct vigie_arena *arena,
		 ProtobufCBinaryData *packed)
{
	packed->data = vigie_arena_alloc(arena, before + protobuf_c_message_get_packed_size(message) + 1);
	if (!packed->data)
		return false;
	packed->len = before + protobuf_c_message_pack(message, packed->data + before);
	return true;
}

enum vigie_status encode_event_proto(struct vigie_buffer *out, enum vigie_kind kind,
				     const union vigie_object *object, struct vigie_arena *arena)
{
	Kube__RawExtension extension = KUBE__RAW_EXTENSION__INIT;
	Kube__WatchEvent event = KUBE__WATCH_EVENT__INIT;
	Kube__ObjectMeta metadata = KUBE__OBJECT_META__INIT;
	Kube__Unknown envelope = KUBE__UNKNOWN__INIT;
	ProtobufCMessage *message = make_object(kind, object, &metadata, arena);
	ProtobufCBinaryData packed;

	if (!message || !pack(message, 0, arena, &envelope.raw))
		return VIGIE_ENOMEM;
	envelope.has_raw = true;
	if (!pack(&envelope.base, sizeof(decode_magic), arena, &extension.raw))
		return VIGIE_ENOMEM;
	memcpy(extension.raw.data, decode_magic, sizeof(decode_magic));
	extension.has_raw = true;
	event.type = borrow("ADDED");
	event.object = &extension;
	if (!pack(&event.base, 0, arena, &packed))
		return VIGIE_ENOMEM;
	return vigie_buffer_append(out, packed.data, packed.len);
}

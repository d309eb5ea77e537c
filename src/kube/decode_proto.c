/* API objects in protobuf. Unknown fields are copied into the arena by protobuf-c and go with it. */
#include <string.h>

#include "decode.h"
#include "kubernetes.pb-c.h"

const uint8_t decode_magic[4] = {'k', '8', 's', 0};

struct decoder {
	struct vigie_arena *arena;
	struct vigie_error *error;
	ProtobufCAllocator allocator;
};

static void *allocate(void *arena, size_t size)
{
	return vigie_arena_alloc(arena, size);
}

/* The arena frees it all. */
static void release(void *arena, void *pointer)
{
}

static struct decoder decoder_of(struct vigie_arena *arena, struct vigie_error *error)
{
	return (struct decoder){arena, error, {allocate, release, arena}};
}

static enum vigie_status malformed(struct decoder *decoder, const char *what)
{
	return vigie_error_set(decoder->error, VIGIE_EINVAL, "malformed %s in protobuf", what);
}

static enum vigie_status no_memory(struct decoder *decoder)
{
	return vigie_error_memory(decoder->error);
}

static const char *find(Kube__Pair *const *pairs, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++) {
		if (pairs[i]->key && strcmp(pairs[i]->key, key) == 0)
			return pairs[i]->value ? pairs[i]->value : "";
	}
	return NULL;
}

/* A port of a Service or of a slice. */
static enum vigie_status read_port(struct decoder *decoder, struct vigie_port *port, const char *name,
				   const char *protocol, bool has_number, int32_t number)
{
	*port = (struct vigie_port){.name = name, .protocol = protocol, .has_number = has_number};
	if (has_number && (number < 0 || number > UINT16_MAX))
		return vigie_error_set(decoder->error, VIGIE_EINVAL, "'port' is out of range");
	port->number = (uint16_t)number;
	return VIGIE_OK;
}

static enum vigie_status read_service(struct decoder *decoder, const Kube__Service *from,
				      struct vigie_service *service)
{
	const Kube__ServiceSpec *spec = from->spec;
	struct vigie_port *ports;
	enum vigie_status status = VIGIE_OK;

	if (!spec)
		return VIGIE_OK;
	ports = vigie_arena_alloc(decoder->arena, (spec->n_ports + 1) * sizeof(*ports));
	if (!ports)
		return no_memory(decoder);
	for (size_t i = 0; i < spec->n_ports && !status; i++)
		status = read_port(decoder, &ports[i], spec->ports[i]->name, spec->ports[i]->protocol,
				   spec->ports[i]->has_port, spec->ports[i]->port);
	service->ports = ports;
	service->port_count = spec->n_ports;
	service->external_name = spec->external_name;
	service->type = spec->type && strcmp(spec->type, "ExternalName") == 0 ? VIGIE_SERVICE_EXTERNAL_NAME
									      : VIGIE_SERVICE_CLUSTER_IP;
	if (status || service->type == VIGIE_SERVICE_EXTERNAL_NAME)
		return status;
	if (spec->n_cluster_ips == 0)
		return decode_cluster_ip(service, spec->cluster_ip, decoder->error);
	for (size_t i = 0; i < spec->n_cluster_ips && !status; i++)
		status = decode_cluster_ip(service, spec->cluster_ips[i], decoder->error);
	return status;
}

/* Adds an endpoint for each of its addresses that can be read. */
static void read_endpoint(const Kube__Endpoint *from, struct vigie_endpoint *list, size_t *count)
{
	const Kube__ObjectReference *target = from->target_ref;
	struct vigie_endpoint endpoint = {.hostname = from->hostname,
					  .zone = from->zone,
					  .ready = !from->conditions || !from->conditions->has_ready ||
						   from->conditions->ready};

	if (target && (!target->kind || !*target->kind || strcmp(target->kind, "Pod") == 0))
		endpoint.pod = target->name;
	for (size_t i = 0; i < from->n_addresses && i < DECODE_ADDRESSES_MAX; i++) {
		if (vigie_address_from_text(&endpoint.address, from->addresses[i]) == VIGIE_OK)
			list[(*count)++] = endpoint;
	}
}

static enum vigie_status read_slice(struct decoder *decoder, const Kube__EndpointSlice *from,
				    struct decoded_object *object)
{
	const Kube__ObjectMeta *metadata = from->metadata;
	struct vigie_slice *slice = &object->slice;
	struct vigie_endpoint *endpoints;
	struct vigie_port *ports;
	enum vigie_status status = VIGIE_OK;
	size_t addresses = 0;

	slice->service = find(metadata->labels, metadata->n_labels, decode_service_label);
	slice->triggered =
		decode_time(find(metadata->annotations, metadata->n_annotations, decode_trigger_annotation));
	object->skip = !slice->service || !*slice->service ||
		       (from->address_type && strcmp(from->address_type, "FQDN") == 0);
	for (size_t i = 0; i < from->n_endpoints; i++)
		addresses += from->endpoints[i]->n_addresses < DECODE_ADDRESSES_MAX
				     ? from->endpoints[i]->n_addresses
				     : DECODE_ADDRESSES_MAX;
	ports = vigie_arena_alloc(decoder->arena, (from->n_ports + 1) * sizeof(*ports));
	endpoints = vigie_arena_alloc(decoder->arena, (addresses + 1) * sizeof(*endpoints));
	if (!ports || !endpoints)
		return no_memory(decoder);
	for (size_t i = 0; i < from->n_ports && !status; i++)
		status = read_port(decoder, &ports[i], from->ports[i]->name, from->ports[i]->protocol,
				   from->ports[i]->has_port, from->ports[i]->port);
	slice->ports = ports;
	slice->port_count = from->n_ports;
	slice->endpoints = endpoints;
	for (size_t i = 0; i < from->n_endpoints && !object->skip; i++)
		read_endpoint(from->endpoints[i], endpoints, &slice->endpoint_count);
	return status;
}

static enum vigie_status read_pod(struct decoder *decoder, const Kube__Pod *from, struct vigie_pod *pod)
{
	struct vigie_address *list;

	if (!from->status)
		return VIGIE_OK;
	list = vigie_arena_alloc(decoder->arena, (from->status->n_pod_ips + 1) * sizeof(*list));
	if (!list)
		return no_memory(decoder);
	pod->addresses = list;
	for (size_t i = 0; i < from->status->n_pod_ips && pod->address_count < DECODE_ADDRESSES_MAX; i++) {
		const char *ip = from->status->pod_ips[i]->ip;

		if (ip && vigie_address_from_text(&list[pod->address_count], ip) == VIGIE_OK)
			pod->address_count++;
	}
	if (pod->address_count == 0 && from->status->pod_ip &&
	    vigie_address_from_text(&list[0], from->status->pod_ip) == VIGIE_OK)
		pod->address_count = 1;
	return VIGIE_OK;
}

/* What every object begins with. */
static enum vigie_status read_metadata(struct decoder *decoder, const Kube__ObjectMeta *metadata,
				       struct decoded_event *event)
{
	struct decoded_object *object = &event->object;

	if (!metadata)
		return vigie_error_set(decoder->error, VIGIE_EINVAL, "'metadata' is missing");
	event->version = metadata->resource_version;
	object->namespace = metadata->namespace_;
	object->name = metadata->name;
	event->initial_end =
		strcmp(find(metadata->annotations, metadata->n_annotations, decode_end_annotation) ?: "",
		       "true") == 0;
	/* A bookmark has no name. */
	if (event->type != EVENT_BOOKMARK && (!object->name || !*object->name))
		return vigie_error_set(decoder->error, VIGIE_EINVAL, "'name' is missing");
	return VIGIE_OK;
}

/* The object of an event, with the envelope taken off. */
static enum vigie_status read_object(struct decoder *decoder, enum vigie_kind kind, ProtobufCBinaryData raw,
				     struct decoded_event *event)
{
	struct decoded_object *object = &event->object;
	ProtobufCAllocator *allocator = &decoder->allocator;
	enum vigie_status status = VIGIE_EINVAL;

	if (kind == VIGIE_KIND_SERVICE) {
		const Kube__Service *from = kube__service__unpack(allocator, raw.len, raw.data);

		status = from ? read_metadata(decoder, from->metadata, event) : malformed(decoder, "Service");
		object->service.namespace = object->namespace;
		object->service.name = object->name;
		if (!status && event->type != EVENT_BOOKMARK)
			status = read_service(decoder, from, &object->service);
	} else if (kind == VIGIE_KIND_SLICE) {
		const Kube__EndpointSlice *from = kube__endpoint_slice__unpack(allocator, raw.len, raw.data);

		status = from ? read_metadata(decoder, from->metadata, event)
			      : malformed(decoder, "EndpointSlice");
		object->slice.namespace = object->namespace;
		object->slice.name = object->name;
		if (!status && event->type != EVENT_BOOKMARK)
			status = read_slice(decoder, from, object);
	} else if (kind == VIGIE_KIND_POD) {
		const Kube__Pod *from = kube__pod__unpack(allocator, raw.len, raw.data);

		status = from ? read_metadata(decoder, from->metadata, event) : malformed(decoder, "Pod");
		object->pod.namespace = object->namespace;
		object->pod.name = object->name;
		if (!status && event->type != EVENT_BOOKMARK)
			status = read_pod(decoder, from, &object->pod);
	} else if (kind == VIGIE_KIND_NAMESPACE) {
		const Kube__Namespace *from = kube__namespace__unpack(allocator, raw.len, raw.data);

		status = from ? read_metadata(decoder, from->metadata, event)
			      : malformed(decoder, "Namespace");
	}
	return status;
}

static void read_status(const Kube__Status *from, struct decoded_event *event)
{
	event->code = from->has_code && from->code > 0 && from->code < 1000 ? from->code : 500;
	event->message = from->message ? from->message : "";
	if (from->details && from->details->has_retry_after_seconds && from->details->retry_after_seconds > 0)
		event->retry_after_s = (uint64_t)from->details->retry_after_seconds;
}

/* The bytes behind "k8s\0"; NULL when it is no envelope. */
static const Kube__Unknown *open_envelope(struct decoder *decoder, const uint8_t *bytes, size_t length)
{
	if (length < sizeof(decode_magic) || memcmp(bytes, decode_magic, sizeof(decode_magic)) != 0)
		return NULL;
	return kube__unknown__unpack(&decoder->allocator, length - sizeof(decode_magic),
				     bytes + sizeof(decode_magic));
}

enum vigie_status decode_event_proto(struct decoded_event *event, enum vigie_kind kind, const uint8_t *bytes,
				     size_t length, struct vigie_arena *arena)
{
	struct decoder decoder = decoder_of(arena, &event->error);
	const Kube__WatchEvent *frame;
	const Kube__Unknown *envelope;

	memset(event, 0, sizeof(*event));
	frame = kube__watch_event__unpack(&decoder.allocator, length, bytes);
	if (!frame || !frame->type || !frame->object || !frame->object->has_raw)
		return VIGIE_EINVAL;
	envelope = open_envelope(&decoder, frame->object->raw.data, frame->object->raw.len);
	if (!envelope || !envelope->has_raw)
		return VIGIE_EINVAL;
	event->type = decode_event_type(frame->type);
	if (event->type != EVENT_ERROR) {
		event->status = read_object(&decoder, kind, envelope->raw, event);
	} else {
		const Kube__Status *status =
			kube__status__unpack(&decoder.allocator, envelope->raw.len, envelope->raw.data);

		if (!status)
			return VIGIE_EINVAL;
		read_status(status, event);
	}
	return VIGIE_OK;
}

const char *decode_message_proto(const uint8_t *bytes, size_t length, struct vigie_arena *arena)
{
	struct vigie_error error;
	struct decoder decoder = decoder_of(arena, &error);
	const Kube__Unknown *envelope = open_envelope(&decoder, bytes, length);
	const Kube__Status *status = NULL;

	if (envelope && envelope->has_raw)
		status = kube__status__unpack(&decoder.allocator, envelope->raw.len, envelope->raw.data);
	return status ? status->message : NULL;
}

/* A watch event in JSON made one in protobuf, as the API server would send it, with fields that we do not
 * know. */
#ifndef PROTO_EVENT_H
#define PROTO_EVENT_H

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "kubernetes.pb-c.h"
#include "vigie/arena.h"

static char *proto_text(const json_t *json, const char *member)
{
	return (char *)(uintptr_t)json_string_value(json_object_get(json, member));
}

static struct vigie_arena *proto_arena; /* of the last event */

static void *proto_new(size_t count, size_t size)
{
	void *memory = vigie_arena_alloc(proto_arena, (count + 1) * size);

	assert_non_null(memory);
	return memory;
}

/* An array of pointers to as many initialized messages as the JSON array has elements. */
#define PROTO_LIST(type, TYPE, json, list, count)                                                            \
	do {                                                                                                 \
		(count) = json_array_size(json);                                                             \
		(list) = proto_new(count, sizeof(*(list)));                                                  \
		for (size_t i_ = 0; i_ < (count); i_++) {                                                    \
			(list)[i_] = proto_new(1, sizeof(type));                                             \
			*(list)[i_] = (type)TYPE;                                                            \
		}                                                                                            \
	} while (0)

static void proto_pairs(const json_t *json, Kube__Pair ***list, size_t *count)
{
	const char *key;
	json_t *value;

	*list = proto_new(json_object_size(json), sizeof(**list));
	json_object_foreach((json_t *)(uintptr_t)json, key, value)
	{
		Kube__Pair *pair = proto_new(1, sizeof(*pair));

		*pair = (Kube__Pair)KUBE__PAIR__INIT;
		pair->key = (char *)(uintptr_t)key;
		pair->value = (char *)(uintptr_t)json_string_value(value);
		(*list)[(*count)++] = pair;
	}
}

static void proto_metadata(const json_t *json, Kube__ObjectMeta *metadata)
{
	static ProtobufCMessageUnknownField unknown = {8, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, 3,
						       (uint8_t *)"\002\010\001"};

	*metadata = (Kube__ObjectMeta)KUBE__OBJECT_META__INIT;
	metadata->base.n_unknown_fields = 1;
	metadata->base.unknown_fields = &unknown;
	metadata->name = proto_text(json, "name");
	metadata->namespace_ = proto_text(json, "namespace");
	metadata->resource_version = proto_text(json, "resourceVersion");
	proto_pairs(json_object_get(json, "labels"), &metadata->labels, &metadata->n_labels);
	proto_pairs(json_object_get(json, "annotations"), &metadata->annotations, &metadata->n_annotations);
}

static char **proto_texts(const json_t *json, size_t *count)
{
	char **list = proto_new(json_array_size(json), sizeof(*list));

	for (*count = 0; *count < json_array_size(json); ++*count)
		list[*count] = (char *)(uintptr_t)json_string_value(json_array_get(json, *count));
	return list;
}

static size_t proto_service(const json_t *json, Kube__ObjectMeta *metadata, uint8_t *out)
{
	const json_t *spec_json = json_object_get(json, "spec");
	const json_t *ports = json_object_get(spec_json, "ports");
	Kube__ServiceSpec spec = KUBE__SERVICE_SPEC__INIT;
	Kube__Service service = KUBE__SERVICE__INIT;

	service.metadata = metadata;
	service.spec = &spec;
	spec.type = proto_text(spec_json, "type");
	spec.cluster_ip = proto_text(spec_json, "clusterIP");
	spec.external_name = proto_text(spec_json, "externalName");
	spec.cluster_ips = proto_texts(json_object_get(spec_json, "clusterIPs"), &spec.n_cluster_ips);
	PROTO_LIST(Kube__ServicePort, KUBE__SERVICE_PORT__INIT, ports, spec.ports, spec.n_ports);
	for (size_t i = 0; i < spec.n_ports; i++) {
		const json_t *port = json_array_get(ports, i);

		spec.ports[i]->name = proto_text(port, "name");
		spec.ports[i]->protocol = proto_text(port, "protocol");
		spec.ports[i]->has_port = true;
		spec.ports[i]->port = (int32_t)json_integer_value(json_object_get(port, "port"));
	}
	return kube__service__pack(&service, out);
}

static void proto_endpoint(const json_t *json, Kube__Endpoint *endpoint)
{
	const json_t *ready = json_object_get(json_object_get(json, "conditions"), "ready");
	const json_t *target = json_object_get(json, "targetRef");

	endpoint->addresses = proto_texts(json_object_get(json, "addresses"), &endpoint->n_addresses);
	endpoint->hostname = proto_text(json, "hostname");
	endpoint->zone = proto_text(json, "zone");
	if (json_object_get(json, "conditions")) {
		endpoint->conditions = proto_new(1, sizeof(*endpoint->conditions));
		*endpoint->conditions = (Kube__EndpointConditions)KUBE__ENDPOINT_CONDITIONS__INIT;
		endpoint->conditions->has_ready = json_is_boolean(ready);
		endpoint->conditions->ready = json_is_true(ready);
	}
	if (target) {
		endpoint->target_ref = proto_new(1, sizeof(*endpoint->target_ref));
		*endpoint->target_ref = (Kube__ObjectReference)KUBE__OBJECT_REFERENCE__INIT;
		endpoint->target_ref->kind = proto_text(target, "kind");
		endpoint->target_ref->name = proto_text(target, "name");
	}
}

static size_t proto_slice(const json_t *json, Kube__ObjectMeta *metadata, uint8_t *out)
{
	const json_t *endpoints = json_object_get(json, "endpoints");
	const json_t *ports = json_object_get(json, "ports");
	Kube__EndpointSlice slice = KUBE__ENDPOINT_SLICE__INIT;

	slice.metadata = metadata;
	slice.address_type = proto_text(json, "addressType");
	PROTO_LIST(Kube__Endpoint, KUBE__ENDPOINT__INIT, endpoints, slice.endpoints, slice.n_endpoints);
	for (size_t i = 0; i < slice.n_endpoints; i++)
		proto_endpoint(json_array_get(endpoints, i), slice.endpoints[i]);
	PROTO_LIST(Kube__EndpointPort, KUBE__ENDPOINT_PORT__INIT, ports, slice.ports, slice.n_ports);
	for (size_t i = 0; i < slice.n_ports; i++) {
		const json_t *port = json_array_get(ports, i);

		slice.ports[i]->name = proto_text(port, "name");
		slice.ports[i]->protocol = proto_text(port, "protocol");
		slice.ports[i]->has_port = json_is_integer(json_object_get(port, "port"));
		slice.ports[i]->port = (int32_t)json_integer_value(json_object_get(port, "port"));
	}
	return kube__endpoint_slice__pack(&slice, out);
}

static size_t proto_pod(const json_t *json, Kube__ObjectMeta *metadata, uint8_t *out)
{
	const json_t *ips = json_object_get(json_object_get(json, "status"), "podIPs");
	Kube__PodStatus status = KUBE__POD_STATUS__INIT;
	Kube__Pod pod = KUBE__POD__INIT;

	pod.metadata = metadata;
	pod.status = &status;
	status.pod_ip = proto_text(json_object_get(json, "status"), "podIP");
	PROTO_LIST(Kube__PodIP, KUBE__POD_IP__INIT, ips, status.pod_ips, status.n_pod_ips);
	for (size_t i = 0; i < status.n_pod_ips; i++)
		status.pod_ips[i]->ip = proto_text(json_array_get(ips, i), "ip");
	return kube__pod__pack(&pod, out);
}

static size_t proto_status(const json_t *json, uint8_t *out)
{
	Kube__Status status = KUBE__STATUS__INIT;

	status.message = proto_text(json, "message");
	status.has_code = true;
	status.code = (int32_t)json_integer_value(json_object_get(json, "code"));
	return kube__status__pack(&status, out);
}

/* Writes the frame with its length to `out`, which must be large enough, and returns its size; 0 when the
 * text is no event in JSON. */
static size_t proto_from_event(const char *text, enum vigie_kind kind, uint8_t *out)
{
	enum { LARGEST = 4 << 20 };
	static uint8_t raw[LARGEST];
	static uint8_t envelope[LARGEST + 64] = "k8s";
	json_t *json = json_loads(text, 0, NULL);
	const json_t *object = json_object_get(json, "object");
	Kube__RawExtension extension = KUBE__RAW_EXTENSION__INIT;
	Kube__WatchEvent event = KUBE__WATCH_EVENT__INIT;
	Kube__Namespace namespace = KUBE__NAMESPACE__INIT;
	Kube__Unknown unknown = KUBE__UNKNOWN__INIT;
	Kube__ObjectMeta metadata;
	size_t length;

	if (!json_is_object(object) || !proto_text(json, "type")) {
		json_decref(json);
		return 0;
	}
	if (!proto_arena)
		proto_arena = vigie_arena_new();
	assert_non_null(proto_arena);
	vigie_arena_reset(proto_arena);
	proto_metadata(json_object_get(object, "metadata"), &metadata);
	namespace.metadata = &metadata;
	if (strcmp(proto_text(json, "type"), "ERROR") == 0)
		length = proto_status(object, raw);
	else if (kind == VIGIE_KIND_SERVICE)
		length = proto_service(object, &metadata, raw);
	else if (kind == VIGIE_KIND_SLICE)
		length = proto_slice(object, &metadata, raw);
	else if (kind == VIGIE_KIND_POD)
		length = proto_pod(object, &metadata, raw);
	else
		length = kube__namespace__pack(&namespace, raw);
	unknown.has_raw = true;
	unknown.raw = (ProtobufCBinaryData){length, raw};
	extension.has_raw = true;
	extension.raw = (ProtobufCBinaryData){4 + kube__unknown__pack(&unknown, envelope + 4), envelope};
	event.type = proto_text(json, "type");
	event.object = &extension;
	length = kube__watch_event__pack(&event, out + 4);
	out[0] = (uint8_t)(length >> 24);
	out[1] = (uint8_t)(length >> 16);
	out[2] = (uint8_t)(length >> 8);
	out[3] = (uint8_t)length;
	json_decref(json);
	return 4 + length;
}

#endif

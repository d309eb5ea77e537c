#include "decode.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

const char decode_service_label[] = "kubernetes.io/service-name";
const char decode_trigger_annotation[] = "endpoints.kubernetes.io/last-change-trigger-time";
const char decode_end_annotation[] = "k8s.io/initial-events-end";

/* What every reader below needs; the first failure is kept. */
struct decoder {
	struct vigie_arena *arena;
	struct vigie_error *error;
};

static enum vigie_status wrong_type(struct decoder *decoder, const char *field)
{
	return vigie_error_set(decoder->error, VIGIE_EINVAL, "'%s' has the wrong type", field);
}

static enum vigie_status no_memory(struct decoder *decoder)
{
	return vigie_error_memory(decoder->error);
}

/* A member that may be absent or null: NULL then. */
static enum vigie_status get_text(struct decoder *decoder, const json_t *json, const char *field,
				  const char **text)
{
	const json_t *value = json_object_get(json, field);

	*text = NULL;
	if (!value || json_is_null(value))
		return VIGIE_OK;
	if (!json_is_string(value))
		return wrong_type(decoder, field);
	*text = json_string_value(value);
	return VIGIE_OK;
}

static enum vigie_status get_member(struct decoder *decoder, const json_t *json, const char *field,
				    json_type type, const json_t **member)
{
	*member = json_object_get(json, field);
	if (*member && json_is_null(*member))
		*member = NULL;
	return *member && json_typeof(*member) != type ? wrong_type(decoder, field) : VIGIE_OK;
}

static enum vigie_status get_labels(struct decoder *decoder, const json_t *metadata,
				    struct decoded_labels *labels)
{
	const json_t *json;
	const char *key;
	json_t *value;
	enum vigie_status status = get_member(decoder, metadata, "labels", JSON_OBJECT, &json);

	if (status || !json)
		return status;
	labels->keys = vigie_arena_alloc(decoder->arena, (json_object_size(json) + 1) * sizeof(char *));
	labels->values = vigie_arena_alloc(decoder->arena, (json_object_size(json) + 1) * sizeof(char *));
	if (!labels->keys || !labels->values)
		return no_memory(decoder);
	json_object_foreach((json_t *)json, key, value)
	{
		if (!json_is_string(value))
			return wrong_type(decoder, "labels");
		labels->keys[labels->count] = key;
		labels->values[labels->count++] = json_string_value(value);
	}
	return VIGIE_OK;
}

static const char *find_label(const struct decoded_labels *labels, const char *key)
{
	for (size_t i = 0; i < labels->count; i++) {
		if (strcmp(labels->keys[i], key) == 0)
			return labels->values[i];
	}
	return NULL;
}

static enum vigie_status get_port(struct decoder *decoder, const json_t *json, struct vigie_port *port)
{
	const json_t *number;
	enum vigie_status status;

	if (!json_is_object(json))
		return wrong_type(decoder, "ports");
	status = get_text(decoder, json, "name", &port->name);
	if (!status)
		status = get_text(decoder, json, "protocol", &port->protocol);
	if (!status)
		status = get_member(decoder, json, "port", JSON_INTEGER, &number);
	if (status || !number)
		return status;
	if (json_integer_value(number) < 0 || json_integer_value(number) > UINT16_MAX)
		return vigie_error_set(decoder->error, VIGIE_EINVAL, "'port' is out of range");
	port->number = (uint16_t)json_integer_value(number);
	port->has_number = true;
	return VIGIE_OK;
}

static enum vigie_status get_ports(struct decoder *decoder, const json_t *json,
				   const struct vigie_port **ports, size_t *count)
{
	struct vigie_port *list;
	const json_t *array;
	enum vigie_status status = get_member(decoder, json, "ports", JSON_ARRAY, &array);

	if (status || !array)
		return status;
	list = vigie_arena_alloc(decoder->arena, (json_array_size(array) + 1) * sizeof(*list));
	if (!list)
		return no_memory(decoder);
	for (size_t i = 0; i < json_array_size(array); i++) {
		status = get_port(decoder, json_array_get(array, i), &list[i]);
		if (status)
			return status;
	}
	*ports = list;
	*count = json_array_size(array);
	return VIGIE_OK;
}

enum vigie_status decode_cluster_ip(struct vigie_service *service, const char *text,
				    struct vigie_error *error)
{
	struct vigie_address *address = &service->addresses[service->address_count];

	if (!text || !*text)
		return VIGIE_OK;
	if (strcmp(text, "None") == 0) {
		service->headless = true;
		return VIGIE_OK;
	}
	if (service->address_count == 2)
		return VIGIE_OK;
	if (vigie_address_from_text(address, text))
		return vigie_error_set(error, VIGIE_EINVAL, "'clusterIPs' holds '%.64s', which is no address",
				       text);
	if (service->address_count == 1 &&
	    vigie_address_is_v4(&service->addresses[0]) == vigie_address_is_v4(address))
		return VIGIE_OK; /* at most one a family */
	service->address_count++;
	return VIGIE_OK;
}

static enum vigie_status decode_service(struct decoder *decoder, const json_t *json,
					struct vigie_service *service)
{
	const json_t *addresses;
	const json_t *spec;
	const char *text;
	enum vigie_status status = get_member(decoder, json, "spec", JSON_OBJECT, &spec);

	if (!status && spec)
		status = get_text(decoder, spec, "type", &text);
	if (status || !spec)
		return status;
	service->type = text && strcmp(text, "ExternalName") == 0 ? VIGIE_SERVICE_EXTERNAL_NAME
								  : VIGIE_SERVICE_CLUSTER_IP;
	status = get_text(decoder, spec, "externalName", &service->external_name);
	if (!status)
		status = get_ports(decoder, spec, &service->ports, &service->port_count);
	if (!status)
		status = get_member(decoder, spec, "clusterIPs", JSON_ARRAY, &addresses);
	if (!status)
		status = get_text(decoder, spec, "clusterIP", &text);
	if (status || service->type == VIGIE_SERVICE_EXTERNAL_NAME)
		return status;
	if (!addresses || json_array_size(addresses) == 0)
		return decode_cluster_ip(service, text, decoder->error);
	for (size_t i = 0; i < json_array_size(addresses) && !status; i++) {
		const json_t *address = json_array_get(addresses, i);

		status = json_is_string(address)
				 ? decode_cluster_ip(service, json_string_value(address), decoder->error)
				 : wrong_type(decoder, "clusterIPs");
	}
	return status;
}

/* Adds an endpoint for each of its addresses that can be read: a malformed one is left out alone. */
static enum vigie_status take_endpoint(struct decoder *decoder, const json_t *json,
				       struct vigie_endpoint *list, size_t *count)
{
	struct vigie_endpoint endpoint = {.ready = true};
	const json_t *conditions;
	const json_t *addresses;
	const json_t *target;
	const char *kind = NULL;
	enum vigie_status status;

	if (!json_is_object(json))
		return wrong_type(decoder, "endpoints");
	status = get_member(decoder, json, "addresses", JSON_ARRAY, &addresses);
	if (!status)
		status = get_member(decoder, json, "conditions", JSON_OBJECT, &conditions);
	if (!status)
		status = get_member(decoder, json, "targetRef", JSON_OBJECT, &target);
	if (!status)
		status = get_text(decoder, json, "hostname", &endpoint.hostname);
	if (!status)
		status = get_text(decoder, json, "zone", &endpoint.zone);
	if (!status && target)
		status = get_text(decoder, target, "kind", &kind);
	if (!status && target && (!kind || !*kind || strcmp(kind, "Pod") == 0))
		status = get_text(decoder, target, "name", &endpoint.pod);
	if (status || !addresses)
		return status;
	if (conditions && json_is_false(json_object_get(conditions, "ready")))
		endpoint.ready = false; /* true and unknown are served */
	for (size_t i = 0; i < json_array_size(addresses) && i < DECODE_ADDRESSES_MAX; i++) {
		const json_t *address = json_array_get(addresses, i);

		if (!json_is_string(address))
			return wrong_type(decoder, "addresses");
		if (vigie_address_from_text(&endpoint.address, json_string_value(address)) == VIGIE_OK)
			list[(*count)++] = endpoint;
	}
	return VIGIE_OK;
}

static size_t count_addresses(const json_t *endpoints)
{
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(endpoints); i++) {
		size_t of_this = json_array_size(json_object_get(json_array_get(endpoints, i), "addresses"));

		count += of_this < DECODE_ADDRESSES_MAX ? of_this : DECODE_ADDRESSES_MAX;
	}
	return count;
}

double decode_time(const char *text)
{
	struct tm tm = {0};
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	double fraction = 0;
	char *end;

	if (!rest)
		return 0;
	if (*rest == '.') {
		fraction = strtod(rest, &end);
		rest = end;
	}
	return strcmp(rest, "Z") == 0 ? (double)timegm(&tm) + fraction : 0;
}

static enum vigie_status decode_slice(struct decoder *decoder, const json_t *json,
				      struct decoded_object *object)
{
	struct vigie_slice *slice = &object->slice;
	struct vigie_endpoint *list;
	const json_t *endpoints;
	const char *type;
	enum vigie_status status = get_text(decoder, json, "addressType", &type);

	slice->triggered = decode_time(json_string_value(
		json_object_get(json_object_get(json_object_get(json, "metadata"), "annotations"),
				decode_trigger_annotation)));
	slice->service = find_label(&object->labels, decode_service_label);
	if (!status && (!slice->service || !*slice->service || (type && strcmp(type, "FQDN") == 0)))
		object->skip = true;
	if (!status)
		status = get_ports(decoder, json, &slice->ports, &slice->port_count);
	if (!status)
		status = get_member(decoder, json, "endpoints", JSON_ARRAY, &endpoints);
	if (status || !endpoints || object->skip)
		return status;
	list = vigie_arena_alloc(decoder->arena, (count_addresses(endpoints) + 1) * sizeof(*list));
	if (!list)
		return no_memory(decoder);
	slice->endpoints = list;
	for (size_t i = 0; i < json_array_size(endpoints) && !status; i++)
		status = take_endpoint(decoder, json_array_get(endpoints, i), list, &slice->endpoint_count);
	return status;
}

static enum vigie_status decode_pod(struct decoder *decoder, const json_t *json, struct vigie_pod *pod)
{
	struct vigie_address *list = vigie_arena_alloc(decoder->arena, DECODE_ADDRESSES_MAX * sizeof(*list));
	const json_t *status_json;
	const json_t *addresses = NULL;
	const char *text = NULL;
	enum vigie_status status = get_member(decoder, json, "status", JSON_OBJECT, &status_json);

	if (!list)
		return no_memory(decoder);
	if (!status && status_json)
		status = get_member(decoder, status_json, "podIPs", JSON_ARRAY, &addresses);
	if (!status && status_json)
		status = get_text(decoder, status_json, "podIP", &text);
	if (status)
		return status;
	pod->addresses = list;
	for (size_t i = 0; i < json_array_size(addresses) && pod->address_count < DECODE_ADDRESSES_MAX; i++) {
		const char *ip;

		status = get_text(decoder, json_array_get(addresses, i), "ip", &ip);
		if (status)
			return status;
		if (ip && vigie_address_from_text(&list[pod->address_count], ip) == VIGIE_OK)
			pod->address_count++;
	}
	if (pod->address_count == 0 && text && vigie_address_from_text(&list[0], text) == VIGIE_OK)
		pod->address_count = 1;
	return VIGIE_OK;
}

enum vigie_status decode_object(struct decoded_object *object, enum vigie_kind kind, const json_t *json,
				struct vigie_arena *arena, struct vigie_error *error)
{
	struct decoder decoder = {arena, error};
	const json_t *metadata;
	enum vigie_status status;

	memset(object, 0, sizeof(*object));
	if (!json_is_object(json))
		return vigie_error_set(error, VIGIE_EINVAL, "no object");
	status = get_member(&decoder, json, "metadata", JSON_OBJECT, &metadata);
	if (!status && !metadata)
		status = vigie_error_set(error, VIGIE_EINVAL, "'metadata' is missing");
	if (!status)
		status = get_text(&decoder, metadata, "namespace", &object->namespace);
	if (!status)
		status = get_text(&decoder, metadata, "name", &object->name);
	if (!status && (!object->name || !*object->name))
		status = vigie_error_set(error, VIGIE_EINVAL, "'name' is missing");
	if (!status)
		status = get_labels(&decoder, metadata, &object->labels);
	if (status)
		return status;
	switch (kind) {
	case VIGIE_KIND_SERVICE:
		object->service.namespace = object->namespace;
		object->service.name = object->name;
		return decode_service(&decoder, json, &object->service);
	case VIGIE_KIND_SLICE:
		object->slice.namespace = object->namespace;
		object->slice.name = object->name;
		return decode_slice(&decoder, json, object);
	case VIGIE_KIND_POD:
		object->pod.namespace = object->namespace;
		object->pod.name = object->name;
		return decode_pod(&decoder, json, &object->pod);
	case VIGIE_KIND_NAMESPACE:
	case VIGIE_KINDS:
		break;
	}
	return VIGIE_OK;
}

enum vigie_kind decode_kind(const json_t *json)
{
	static const char *const names[VIGIE_KINDS] = {
		[VIGIE_KIND_SERVICE] = "Service",
		[VIGIE_KIND_SLICE] = "EndpointSlice",
		[VIGIE_KIND_NAMESPACE] = "Namespace",
		[VIGIE_KIND_POD] = "Pod",
	};
	const char *kind = json_string_value(json_object_get(json, "kind"));

	for (int i = 0; kind && i < VIGIE_KINDS; i++) {
		if (strcmp(kind, names[i]) == 0)
			return (enum vigie_kind)i;
	}
	return VIGIE_KINDS;
}

enum vigie_status decode_put(struct vigie_cluster *cluster, enum vigie_kind kind,
			     const struct decoded_object *object)
{
	if (object->skip) {
		vigie_cluster_delete(cluster, kind, object->namespace, object->name);
		return VIGIE_OK;
	}
	switch (kind) {
	case VIGIE_KIND_SERVICE:
		return vigie_cluster_put_service(cluster, &object->service);
	case VIGIE_KIND_SLICE:
		return vigie_cluster_put_slice(cluster, &object->slice);
	case VIGIE_KIND_POD:
		return vigie_cluster_put_pod(cluster, &object->pod);
	case VIGIE_KIND_NAMESPACE:
		return vigie_cluster_put_namespace(cluster, object->name);
	case VIGIE_KINDS:
		break;
	}
	return VIGIE_EINVAL;
}

enum event_type decode_event_type(const char *text)
{
	static const struct {
		const char *text;
		enum event_type type;
	} types[] = {{"ADDED", EVENT_PUT},
		     {"MODIFIED", EVENT_PUT},
		     {"DELETED", EVENT_DELETED},
		     {"BOOKMARK", EVENT_BOOKMARK},
		     {"ERROR", EVENT_ERROR}};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (strcmp(types[i].text, text) == 0)
			return types[i].type;
	}
	return EVENT_UNKNOWN;
}

static void read_status(struct decoded_event *event, const json_t *status)
{
	json_int_t retry =
		json_integer_value(json_object_get(json_object_get(status, "details"), "retryAfterSeconds"));
	const char *message = json_string_value(json_object_get(status, "message"));
	json_int_t code = json_integer_value(json_object_get(status, "code"));

	event->code = code > 0 && code < 1000 ? (int)code : 500;
	event->retry_after_s = retry > 0 ? (uint64_t)retry : 0;
	event->message = message ? message : "";
}

enum vigie_status decode_event_json(struct decoded_event *event, enum vigie_kind kind, const char *text,
				    size_t length, struct vigie_arena *arena)
{
	const json_t *object;
	const json_t *metadata;
	const char *type;
	const char *end;

	memset(event, 0, sizeof(*event));
	event->json = json_loadb(text, length, 0, NULL);
	object = json_object_get(event->json, "object");
	type = json_string_value(json_object_get(event->json, "type"));
	if (!type || !json_is_object(object))
		return VIGIE_EINVAL;
	event->type = decode_event_type(type);
	metadata = json_object_get(object, "metadata");
	event->version = json_string_value(json_object_get(metadata, "resourceVersion"));
	if (event->type == EVENT_ERROR)
		read_status(event, object);
	if (event->type == EVENT_PUT || event->type == EVENT_DELETED)
		event->status = decode_object(&event->object, kind, object, arena, &event->error);
	end = json_string_value(
		json_object_get(json_object_get(metadata, "annotations"), decode_end_annotation));
	event->initial_end = event->type == EVENT_BOOKMARK && end && strcmp(end, "true") == 0;
	return VIGIE_OK;
}

void decode_event_fini(struct decoded_event *event)
{
	json_decref(event->json);
	event->json = NULL;
}

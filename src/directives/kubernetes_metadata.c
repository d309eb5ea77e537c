/* What `kubernetes` tells other directives of a query. */
#include <string.h>

#include "kubernetes.h"
#include "network.h"

/* The parts of SERVICE.NAMESPACE.svc.ZONE, ENDPOINT.SERVICE…, _PORT._PROTOCOL.SERVICE… and
 * ADDRESS.NAMESPACE.pod.ZONE, as numbers of labels; -1: none. */
struct parts {
	int kind;
	int namespace;
	int service;
	int endpoint;
	int port;
	int protocol;
};

static bool find_parts(const struct vigie_name *name, const struct vigie_name *zone, struct parts *parts)
{
	int left = name->labels - zone->labels;

	*parts = (struct parts){-1, -1, -1, -1, -1, -1};
	if (left > 5)
		return false;
	parts->kind = --left;
	if (left > 0)
		parts->namespace = --left;
	if (left > 0)
		parts->service = --left;
	if (left == 1) {
		parts->endpoint = 0;
	} else if (left == 2) {
		parts->port = 0;
		parts->protocol = 1;
	}
	return true;
}

/* A label as it stands, an underscore in front of a port or protocol left out. */
static bool copy_label(const struct vigie_name *name, int index, bool underscore, char *value)
{
	const uint8_t *label;
	size_t length;

	if (index < 0)
		return false;
	label = name->bytes + name->offset[index];
	length = *label++;
	if (underscore && length > 0 && *label == '_') {
		label++;
		length--;
	}
	memcpy(value, label, length);
	value[length] = 0;
	return true;
}

bool kubernetes_metadata(void *instance, struct vigie_request *request, const char *label, char *value)
{
	const struct kubernetes *kubernetes = instance;
	const struct vigie_name *name = &request->query->name;
	const struct vigie_name *zone = zones_match(&kubernetes->zones, name);
	struct parts parts;

	if (strcmp(label, "client-namespace") == 0) {
		uint8_t address[16];
		uint8_t wire[1 + VIGIE_LABEL_MAX];

		network_address(request->client, address);
		if (vigie_records_pod_namespace(kubernetes->records, address, wire))
			return false;
		memcpy(value, wire + 1, wire[0]);
		value[wire[0]] = 0;
		return true;
	}
	if (!zone || name->labels == zone->labels || !find_parts(name, zone, &parts))
		return false;
	if (strcmp(label, "kind") == 0)
		return copy_label(name, parts.kind, false, value);
	if (strcmp(label, "namespace") == 0)
		return copy_label(name, parts.namespace, false, value);
	if (strcmp(label, "service") == 0)
		return copy_label(name, parts.service, false, value);
	if (strcmp(label, "endpoint") == 0)
		return copy_label(name, parts.endpoint, false, value);
	if (strcmp(label, "port-name") == 0)
		return copy_label(name, parts.port, true, value);
	if (strcmp(label, "protocol") == 0)
		return copy_label(name, parts.protocol, true, value);
	return false;
}

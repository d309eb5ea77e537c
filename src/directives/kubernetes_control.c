/* `vigie ctl records dump [NS[/SVC]]`. */
#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "kubernetes.h"
#include "vigie/records_walk.h"

static const char *show_address(const struct vigie_address *address, char *text)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (memcmp(address->bytes, mapped, sizeof(mapped)) == 0)
		return inet_ntop(AF_INET, address->bytes + 12, text, INET6_ADDRSTRLEN);
	return inet_ntop(AF_INET6, address->bytes, text, INET6_ADDRSTRLEN);
}

static void show_service(void *argument, const struct vigie_shown_service *service)
{
	json_t *list = argument;
	json_t *addresses = json_array();
	json_t *endpoints = json_array();
	char text[INET6_ADDRSTRLEN];
	json_t *shown;

	for (size_t i = 0; i < service->address_count; i++)
		json_array_append_new(addresses, json_string(show_address(&service->addresses[i], text)));
	for (size_t i = 0; i < service->endpoint_count; i++) {
		struct vigie_shown_endpoint endpoint;
		char line[VIGIE_LABEL_MAX + INET6_ADDRSTRLEN + 2];

		vigie_shown_endpoint(service, i, &endpoint);
		snprintf(line, sizeof(line), "%s/%s", show_address(&endpoint.address, text), endpoint.name);
		json_array_append_new(endpoints, json_string(line));
	}
	shown = json_pack("{s:s,s:s,s:s,s:b,s:o,s:o}", "namespace", service->namespace, "service",
			  service->name, "kind", service->kind, "exposed", service->exposed, "addresses",
			  addresses, "endpoints", endpoints);
	if (service->target[0])
		json_object_set_new(shown, "target", json_string(service->target));
	json_array_append_new(list, shown);
}

bool kubernetes_control(void *instance, const char *const *words, struct json_t *reply, size_t *turn)
{
	struct kubernetes *kubernetes = instance;
	char namespace[VIGIE_LABEL_MAX * 2 + 2] = "";
	char *name = NULL;
	json_t *list;

	if (strcmp(words[0], "records") != 0 || !words[1] || strcmp(words[1], "dump") != 0 ||
	    !kubernetes->records)
		return false;
	if (!kubernetes_speaks(kubernetes))
		return true;
	if (words[2]) {
		snprintf(namespace, sizeof(namespace), "%s", words[2]);
		name = strchr(namespace, '/');
		if (name)
			*name++ = 0;
	}
	list = json_object_get(reply, "services");
	if (!list) {
		list = json_array();
		json_object_set_new(reply, "services", list);
	}
	vigie_records_walk(kubernetes->records, namespace[0] ? namespace : NULL, name, show_service, list);
	return true;
}

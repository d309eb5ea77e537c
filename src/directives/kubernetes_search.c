/* What the cluster says of a client: `autopath @kubernetes` asks. */
#include <string.h>

#include "kubernetes.h"
#include "network.h"

/* LABEL.svc.ZONE, or svc.ZONE without a label. False when it is too long. */
static bool make_domain(struct vigie_name *domain, const uint8_t *label, const struct vigie_name *zone)
{
	uint8_t wire[1 + VIGIE_LABEL_MAX + 4 + VIGIE_NAME_MAX];
	size_t at = 0;

	if (label) {
		memcpy(wire, label, 1U + label[0]);
		at = 1U + label[0];
	}
	memcpy(wire + at, "\3svc", 4);
	memcpy(wire + at + 4, zone->bytes, zone->length);
	return vigie_name_from_wire(domain, wire, at + 4 + zone->length) == VIGIE_OK;
}

bool kubernetes_search_path(const struct kubernetes *kubernetes, const struct vigie_request *request,
			    struct search_path *path)
{
	const struct vigie_name *zone = zones_match(&kubernetes->zones, &request->query->name);
	uint8_t label[1 + VIGIE_LABEL_MAX];
	struct vigie_name domain;
	uint8_t address[16];

	path->count = 0;
	network_address(request->client, address);
	if (!zone || vigie_records_pod_namespace(kubernetes->records, address, label))
		return false;
	if (make_domain(&domain, label, zone))
		search_path_add(path, &domain);
	if (make_domain(&domain, NULL, zone))
		search_path_add(path, &domain);
	search_path_add(path, zone);
	return path->count == 3;
}

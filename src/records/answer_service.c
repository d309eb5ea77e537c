/* SERVICE.NAMESPACE.svc.ZONE and what stands below it: endpoints, ports, and zonal names. */
#include "lookup.h"

/* How a set of addresses is walked: each once, from a start and by a stride that the rotation chose. */
struct walk {
	uint32_t count;
	uint32_t at;
	uint32_t stride;
};

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static struct walk walk_begin(uint32_t count, uint32_t rotation)
{
	struct walk walk = {.count = count, .stride = 1};

	if (rotation == 0 || count < 2)
		return walk;
	walk.at = (rotation >> 1) % count;
	walk.stride = 1 + (rotation >> 17) % (count - 1);
	while (common_divisor(walk.stride, count) != 1)
		walk.stride = walk.stride % (count - 1) + 1;
	return walk;
}

static uint32_t walk_next(struct walk *walk)
{
	uint32_t at = walk->at;

	walk->at = (uint32_t)(((uint64_t)at + walk->stride) % walk->count);
	return at;
}

static bool wants_addresses(const struct lookup *lookup)
{
	return lookup->type == VIGIE_TYPE_A || lookup->type == VIGIE_TYPE_AAAA;
}

static enum outcome written(const struct lookup *lookup, uint16_t before)
{
	const struct vigie_answer *answer = lookup->answer;

	/* Records that all were too large are records, too: TC says so. */
	return answer->count[VIGIE_ANSWER] > before || (answer->flags & VIGIE_FLAG_TC) ? OUTCOME_RECORDS
										       : OUTCOME_NODATA;
}

static enum outcome answer_cluster(const struct lookup *lookup, const struct blob *blob)
{
	bool v4 = lookup->type == VIGIE_TYPE_A;
	uint8_t *rdata;

	if (!(v4 ? blob->has_v4 : blob->has_v6))
		return OUTCOME_NODATA;
	rdata = vigie_answer_rr(lookup->answer, VIGIE_ANSWER, lookup->owner, lookup->type, lookup->view->ttl,
				v4 ? 4 : 16);
	if (rdata)
		memcpy(rdata, v4 ? blob->v4 : blob->v6, v4 ? 4 : 16);
	return OUTCOME_RECORDS;
}

/* All endpoints of a headless service, of one family. */
static enum outcome answer_headless(const struct lookup *lookup, const struct blob *blob)
{
	bool v4 = lookup->type == VIGIE_TYPE_A;
	uint16_t size = v4 ? 4 : 16;
	uint32_t count = v4 ? blob->v4_count : blob->v6_count;
	const uint8_t *addresses = blob_at(blob, v4 ? blob->v4_at : blob->v6_at);
	struct walk walk = walk_begin(count, lookup->rotation);

	for (uint32_t i = 0; i < count; i++) {
		uint8_t *rdata = vigie_answer_rr(lookup->answer, VIGIE_ANSWER, lookup->owner, lookup->type,
						 lookup->view->ttl, size);

		if (!rdata)
			break;
		memcpy(rdata, addresses + (size_t)size * walk_next(&walk), size);
	}
	return count > 0 ? OUTCOME_RECORDS : OUTCOME_NODATA;
}

static bool is_wanted(const struct lookup *lookup, const uint8_t *address)
{
	return address_is_v4(address) == (lookup->type == VIGIE_TYPE_A);
}

/* The addresses of one endpoint name: rows [first, end), sorted by address. */
static enum outcome answer_rows(const struct lookup *lookup, const struct blob *blob, uint32_t first,
				uint32_t end)
{
	const struct row *rows = blob_rows(blob);
	uint16_t before = lookup->answer->count[VIGIE_ANSWER];

	for (uint32_t i = first; i < end; i++) {
		uint8_t address[16];

		if (i > first && rows[i].address == rows[i - 1].address)
			continue;
		blob_address(blob, rows[i].address, address);
		if (is_wanted(lookup, address) &&
		    !vigie_answer_address(lookup, VIGIE_ANSWER, lookup->owner, address))
			break;
	}
	return written(lookup, before);
}

/* The addresses of a topology zone's endpoints. Rows by address hold those of one address together. */
static enum outcome answer_zone(const struct lookup *lookup, const struct blob *blob, uint32_t zone)
{
	const struct row *rows = blob_rows(blob);
	uint16_t before = lookup->answer->count[VIGIE_ANSWER];
	uint32_t last = UINT32_MAX;

	for (uint32_t place = 0; place < blob->row_count; place++) {
		const struct row *row = &rows[blob_row_by_address(blob, place)];
		uint8_t address[16];

		if (row_zone(blob, row) != zone || row->address == last)
			continue;
		last = row->address;
		blob_address(blob, row->address, address);
		if (is_wanted(lookup, address) &&
		    !vigie_answer_address(lookup, VIGIE_ANSWER, lookup->owner, address))
			break;
	}
	return written(lookup, before);
}

static enum protocol read_protocol(const uint8_t *label)
{
	if (label[0] == 3 && memcmp(label + 1, "tcp", 3) == 0)
		return PROTOCOL_TCP;
	if (label[0] == 3 && memcmp(label + 1, "udp", 3) == 0)
		return PROTOCOL_UDP;
	if (label[0] == 4 && memcmp(label + 1, "sctp", 4) == 0)
		return PROTOCOL_SCTP;
	return PROTOCOL_NONE;
}

/* A label without its underscore, as a wire label: CoreDNS takes both forms for ports and protocols. */
static const uint8_t *strip(const uint8_t *label, uint8_t *stripped)
{
	if (label[0] < 2 || label[1] != '_')
		return label;
	stripped[0] = (uint8_t)(label[0] - 1);
	memcpy(stripped + 1, label + 2, stripped[0]);
	return stripped;
}

/* Whether a set of ports has one that the selection takes, of the protocol alone when it names no port. */
static bool set_has(const struct blob *blob, const struct port_set *set, const struct selection *selection)
{
	const uint8_t *port = blob_at(blob, set->at);

	for (uint32_t i = 0; i < set->count; i++, port += port_size(port)) {
		bool taken = selection->port
				     ? vigie_selection_has_port(selection, port)
				     : port[PORT_NAME] > 0 && port[PORT_PROTOCOL] == selection->protocol;

		if (taken)
			return true;
	}
	return false;
}

/* Whether the service, or an endpoint of a headless one, has such a port. */
static bool has_port(const struct blob *blob, const struct selection *selection)
{
	const struct port_set *sets = blob_sets(blob);

	if (blob->kind == BLOB_CLUSTER_IP)
		return set_has(blob, &blob->ports, selection);
	for (uint32_t i = 0; i < blob->set_count; i++) {
		if (sets[i].rows > 0 && set_has(blob, &sets[i], selection))
			return true;
	}
	return false;
}

/* _PORT._PROTOCOL.SERVICE… */
static enum outcome answer_port(struct lookup *lookup, const struct blob *blob, unsigned service)
{
	uint8_t stripped[2][1 + VIGIE_LABEL_MAX];
	const uint8_t *port = strip(lookup_label(lookup, service - 2), stripped[0]);
	struct selection selection = {
		.port = port + 1,
		.port_length = port[0],
		.protocol = read_protocol(strip(lookup_label(lookup, service - 1), stripped[1])),
		.end = blob->row_count,
	};

	uint16_t before = lookup->answer->count[VIGIE_ANSWER];

	if (!has_port(blob, &selection))
		return OUTCOME_NXDOMAIN;
	if (lookup->type != VIGIE_TYPE_SRV)
		return OUTCOME_NODATA;
	if (blob->kind == BLOB_CLUSTER_IP)
		vigie_answer_cluster_srv(lookup, blob, &selection, service);
	else
		vigie_answer_srv(lookup, blob, &selection, service);
	return written(lookup, before); /* a slice's port may have a name and no number */
}

/* ENDPOINT.SERVICE…, or the node above the names of ports. */
static enum outcome answer_endpoint(struct lookup *lookup, const struct blob *blob, unsigned service)
{
	const uint8_t *label = lookup_label(lookup, service - 1);
	struct selection selection = {0};
	uint8_t stripped[1 + VIGIE_LABEL_MAX];

	if (lookup->view->endpoints) {
		uint16_t before = lookup->answer->count[VIGIE_ANSWER];

		selection.end = vigie_blob_find_name(blob, label, &selection.first);
		if (selection.first < selection.end) {
			if (wants_addresses(lookup))
				return answer_rows(lookup, blob, selection.first, selection.end);
			if (lookup->type != VIGIE_TYPE_SRV)
				return OUTCOME_NODATA;
			vigie_answer_srv(lookup, blob, &selection, service);
			return written(lookup, before);
		}
	}
	if (lookup->view->zonal && blob->kind == BLOB_HEADLESS && label_is(label, "\5_zone"))
		return OUTCOME_NODATA;
	selection.protocol = read_protocol(strip(label, stripped));
	if (label[1] == '_' && selection.protocol != PROTOCOL_NONE && has_port(blob, &selection))
		return OUTCOME_NODATA;
	return OUTCOME_NXDOMAIN;
}

/* TOPOZONE.pin|prefer._zone.SERVICE…: the zone is all labels on the left. Every such name of a headless
 * service exists. */
static enum outcome answer_zonal(struct lookup *lookup, const struct blob *blob, unsigned service)
{
	const uint8_t *how = lookup_label(lookup, service - 2);
	const uint32_t *zones = blob_at(blob, blob->zones_at);
	size_t length = lookup->name->offset[service - 2];
	struct selection selection = {.end = blob->row_count};
	uint16_t before = lookup->answer->count[VIGIE_ANSWER];

	if (!lookup->view->zonal || blob->kind != BLOB_HEADLESS ||
	    (!label_is(how, "\3pin") && !label_is(how, "\6prefer")))
		return OUTCOME_NXDOMAIN;
	if (length == 0)
		return OUTCOME_NODATA; /* above the zones */
	for (uint32_t i = 0; i < blob->zone_count; i++) {
		const uint8_t *zone = blob_at(blob, zones[i]);

		if (zone[0] == length && memcmp(zone + 1, lookup->name->bytes, length) == 0)
			selection.zone = i + 1;
	}
	if (selection.zone == 0 && label_is(how, "\3pin"))
		return OUTCOME_NODATA;
	if (lookup->type == VIGIE_TYPE_SRV) {
		vigie_answer_srv(lookup, blob, &selection, service);
		return written(lookup, before);
	}
	if (!wants_addresses(lookup))
		return OUTCOME_NODATA;
	return selection.zone ? answer_zone(lookup, blob, selection.zone) : answer_headless(lookup, blob);
}

/* SERVICE.NAMESPACE.svc.ZONE itself. */
static enum outcome answer_itself(struct lookup *lookup, const struct blob *blob)
{
	struct selection selection = {.end = blob->row_count};
	uint16_t before = lookup->answer->count[VIGIE_ANSWER];

	if (wants_addresses(lookup))
		return blob->kind == BLOB_CLUSTER_IP ? answer_cluster(lookup, blob)
						     : answer_headless(lookup, blob);
	if (lookup->type != VIGIE_TYPE_SRV)
		return OUTCOME_NODATA;
	if (blob->kind == BLOB_CLUSTER_IP)
		vigie_answer_cluster_srv(lookup, blob, &selection, 0);
	else
		vigie_answer_srv(lookup, blob, &selection, 0);
	return written(lookup, before);
}

static enum outcome answer_external(struct lookup *lookup, const struct entry *entry, const struct blob *blob,
				    unsigned service)
{
	if (service > 0)
		return OUTCOME_NXDOMAIN;
	if (blob->target == 0)
		return OUTCOME_NODATA;
	if (lookup->type == VIGIE_TYPE_CNAME) {
		uint16_t length = (uint16_t)blob->target_length;
		uint8_t *rdata = vigie_answer_rr(lookup->answer, VIGIE_ANSWER, lookup->owner,
						 VIGIE_TYPE_CNAME, lookup->view->ttl, length);

		if (rdata)
			memcpy(rdata, blob_at(blob, blob->target), length);
		return OUTCOME_RECORDS;
	}
	lookup->entry = entry;
	lookup->blob = blob;
	return OUTCOME_CNAME;
}

enum outcome vigie_answer_blob(struct lookup *lookup, const struct entry *entry, const struct blob *blob,
			       unsigned service)
{
	const struct vigie_view *view = lookup->view;

	if (blob->kind == BLOB_EXTERNAL)
		return answer_external(lookup, entry, blob, service);
	if (service >= 2 && label_is(lookup_label(lookup, service - 1), "\5_zone"))
		return answer_zonal(lookup, blob, service);
	if (blob->kind == BLOB_HEADLESS ? !view->endpoints || blob->row_count == 0
					: view->ignore_empty_service && blob->row_count == 0)
		return OUTCOME_NXDOMAIN;
	if (service == 0)
		return answer_itself(lookup, blob);
	if (service == 1)
		return answer_endpoint(lookup, blob, service);
	return service == 2 ? answer_port(lookup, blob, service) : OUTCOME_NXDOMAIN;
}

enum outcome vigie_answer_service(struct lookup *lookup)
{
	const struct vigie_view *view = lookup->view;
	const struct vigie_name *name = lookup->name;
	unsigned left = lookup->labels - 1; /* of "svc" */
	const struct entry *entry;
	const struct blob *blob;
	unsigned service; /* the index of its label: so many labels are left of it */

	if (left == 0)
		return OUTCOME_NODATA;
	if (left == 1) {
		const struct space *space = vigie_table_find_space(view->records, lookup_label(lookup, 0));

		return space && space_exposed(space) ? OUTCOME_NODATA : OUTCOME_NXDOMAIN;
	}
	service = left - 2;
	entry = vigie_table_find(view->records, lookup_label(lookup, service),
				 (size_t)name->offset[left] - name->offset[service]);
	blob = entry ? entry_blob(entry) : NULL;
	if (!blob || !space_exposed(entry->space))
		return OUTCOME_NXDOMAIN;
	return vigie_answer_blob(lookup, entry, blob, service);
}

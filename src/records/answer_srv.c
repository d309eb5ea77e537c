/* SRV records of services and of their endpoints (RFC 2782, specification sections 2.3.2 and 2.4.2). */
#include "lookup.h"

enum {
	SRV_FIXED = 6,   /* bytes of priority, weight and port */
	PORTS_MAX = 256, /* ports of one target that are told apart; the API allows 100 a slice */
	WEIGHT_SUM = 100 /* CoreDNS shares it out among all candidates */
};

/* The ports of one target, each number once. */
struct ports {
	uint32_t count;
	uint16_t numbers[PORTS_MAX];
};

bool vigie_selection_has_port(const struct selection *selection, const uint8_t *port)
{
	if (!selection->port)
		return true;
	return port[PORT_NAME] == selection->port_length && port[PORT_PROTOCOL] == selection->protocol &&
	       memcmp(port + PORT_NAME + 1, selection->port, selection->port_length) == 0;
}

/* How many ports of a set are selected, the stand-in and those without a number included: all count for the
 * weight. */
static uint32_t count_ports(const struct blob *blob, const struct port_set *set,
			    const struct selection *selection)
{
	const uint8_t *port = blob_at(blob, set->at);
	uint32_t count = 0;

	for (uint32_t i = 0; i < set->count; i++, port += port_size(port))
		count += vigie_selection_has_port(selection, port);
	return count;
}

static void add_ports(const struct blob *blob, const struct port_set *set, const struct selection *selection,
		      struct ports *ports)
{
	const uint8_t *port = blob_at(blob, set->at);

	for (uint32_t i = 0; i < set->count; i++, port += port_size(port)) {
		uint16_t number = port_number(port);
		uint32_t known = 0;

		if (!port[PORT_HAS_NUMBER] || !vigie_selection_has_port(selection, port))
			continue;
		while (known < ports->count && ports->numbers[known] != number)
			known++;
		if (known == ports->count && known < PORTS_MAX)
			ports->numbers[ports->count++] = number;
	}
}

/* Whether a set gives at least one record. */
static bool has_number(const struct blob *blob, const struct port_set *set, const struct selection *selection)
{
	const uint8_t *port = blob_at(blob, set->at);

	for (uint32_t i = 0; i < set->count; i++, port += port_size(port)) {
		if (port[PORT_HAS_NUMBER] && vigie_selection_has_port(selection, port))
			return true;
	}
	return false;
}

static uint16_t weight_of(uint64_t candidates)
{
	if (candidates == 0 || candidates > WEIGHT_SUM)
		return 1;
	return (uint16_t)(WEIGHT_SUM / candidates);
}

/* Writes one record; the target is [LABEL.] and the name from its label `service` on. Returns where the
 * target stands; NULL when the record does not fit. */
static const uint8_t *write_srv(const struct lookup *lookup, uint16_t weight, uint16_t port,
				const uint8_t *label, size_t label_length, unsigned service)
{
	const struct vigie_name *name = lookup->name;
	size_t rest = (size_t)name->length - name->offset[service];
	uint8_t *rdata = vigie_answer_rr(lookup->answer, VIGIE_ANSWER, lookup->owner, VIGIE_TYPE_SRV,
					 lookup->view->ttl, (uint16_t)(SRV_FIXED + label_length + rest));

	if (!rdata)
		return NULL;
	rdata = write_u16(rdata, 0);
	rdata = write_u16(rdata, weight);
	rdata = write_u16(rdata, port);
	memcpy(rdata, label, label_length);
	memcpy(rdata + label_length, name->bytes + name->offset[service], rest);
	return rdata;
}

void vigie_answer_cluster_srv(const struct lookup *lookup, const struct blob *blob,
			      const struct selection *selection, unsigned service)
{
	uint32_t families = (uint32_t)blob->has_v4 + blob->has_v6;
	uint16_t weight = weight_of((uint64_t)count_ports(blob, &blob->ports, selection) * families);
	const uint8_t *target = NULL;
	struct ports ports = {0};
	uint8_t address[16];
	uint16_t owner;

	add_ports(blob, &blob->ports, selection, &ports);
	for (uint32_t i = 0; i < ports.count; i++) {
		const uint8_t *at =
			write_srv(lookup, weight, ports.numbers[i], (const uint8_t *)"", 0, service);

		target = target ? target : at;
	}
	owner = target ? vigie_answer_offset(lookup->answer, target) : 0;
	if (owner == 0)
		return;
	if (blob->has_v4) {
		address_from_v4(address, blob->v4);
		vigie_answer_address(lookup, VIGIE_ADDITIONAL, owner, address);
	}
	if (blob->has_v6)
		vigie_answer_address(lookup, VIGIE_ADDITIONAL, owner, blob->v6);
}

static bool is_selected(const struct blob *blob, const struct row *row, const struct selection *selection)
{
	return selection->zone == 0 || row_zone(blob, row) == selection->zone;
}

/* The ports of the endpoint name that rows [first, end) have in common. */
static void ports_of_name(const struct blob *blob, uint32_t first, uint32_t end,
			  const struct selection *selection, struct ports *ports)
{
	const struct port_set *sets = blob_sets(blob);
	const struct row *rows = blob_rows(blob);

	ports->count = 0;
	for (uint32_t set = 0; set < blob->set_count; set++) {
		for (uint32_t i = first; i < end; i++) {
			if (row_set(blob, &rows[i]) == set && is_selected(blob, &rows[i], selection)) {
				add_ports(blob, &sets[set], selection, ports);
				break;
			}
		}
	}
}

static uint64_t count_candidates(const struct blob *blob, const struct selection *selection)
{
	const struct port_set *sets = blob_sets(blob);
	const struct row *rows = blob_rows(blob);
	uint64_t count = 0;

	if (selection->zone == 0 && selection->first == 0 && selection->end == blob->row_count) {
		for (uint32_t i = 0; i < blob->set_count; i++)
			count += (uint64_t)sets[i].rows * count_ports(blob, &sets[i], selection);
		return count;
	}
	for (uint32_t i = selection->first; i < selection->end; i++) {
		if (is_selected(blob, &rows[i], selection))
			count += count_ports(blob, &sets[row_set(blob, &rows[i])], selection);
	}
	return count;
}

/* Writes the addresses of one target: of those rows that have a part in its records. */
static void write_additional(const struct lookup *lookup, const struct blob *blob, uint32_t first,
			     uint32_t end, const struct selection *selection, uint16_t owner)
{
	const struct row *rows = blob_rows(blob);
	uint32_t last = UINT32_MAX;

	for (uint32_t i = first; i < end; i++) {
		uint8_t address[16];

		if (rows[i].address == last || !is_selected(blob, &rows[i], selection) ||
		    !has_number(blob, &blob_sets(blob)[row_set(blob, &rows[i])], selection))
			continue;
		last = rows[i].address;
		blob_address(blob, last, address);
		if (!vigie_answer_address(lookup, VIGIE_ADDITIONAL, owner, address))
			return;
	}
}

/* Writes the records of all targets; false when they do not all fit. */
static bool write_targets(const struct lookup *lookup, const struct blob *blob,
			  const struct selection *selection, unsigned service)
{
	uint16_t weight = weight_of(count_candidates(blob, selection));

	for (uint32_t first = selection->first, end; first < selection->end; first = end) {
		uint8_t label[1 + VIGIE_LABEL_MAX];
		struct ports ports;
		size_t length;

		end = vigie_blob_name_end(blob, first);
		ports_of_name(blob, first, end, selection, &ports);
		length = vigie_blob_row_label(blob, first, label);
		for (uint32_t i = 0; i < ports.count; i++) {
			if (!write_srv(lookup, weight, ports.numbers[i], label, length, service))
				return false;
		}
	}
	return true;
}

void vigie_answer_srv(const struct lookup *lookup, const struct blob *blob, const struct selection *selection,
		      unsigned service)
{
	const struct vigie_answer *answer = lookup->answer;
	const uint8_t *record = answer->buffer + answer->length;

	if (!write_targets(lookup, blob, selection, service))
		return; /* the client comes again by TCP */
	/* The same way once more, along the records that were written. */
	for (uint32_t first = selection->first, end; first < selection->end; first = end) {
		struct ports ports;
		uint16_t owner;

		end = vigie_blob_name_end(blob, first);
		ports_of_name(blob, first, end, selection, &ports);
		if (ports.count == 0)
			continue;
		owner = vigie_answer_offset(answer, record + RR_FIXED + SRV_FIXED);
		if (owner == 0)
			return; /* no pointer reaches so far; the rest is asked for by name */
		write_additional(lookup, blob, first, end, selection, owner);
		for (uint32_t i = 0; i < ports.count; i++)
			record += RR_FIXED + (record[RR_FIXED - 2] << 8 | record[RR_FIXED - 1]);
	}
}

/* The zone's own records: SOA, NS, and the addresses of ns.dns.ZONE. */
#include "lookup.h"
#include "reverse.h"

enum {
	SOA_TTL_MAX = 300, /* seconds; as in CoreDNS */
	SOA_REFRESH = 7200,
	SOA_RETRY = 1800,
	SOA_EXPIRE = 86400
};

void vigie_answer_soa(const struct lookup *lookup, enum vigie_section section)
{
	static const uint8_t mname[] = "\2ns\3dns";
	static const uint8_t rname[] = "\12hostmaster";
	enum {
		MNAME_LENGTH = sizeof(mname) - 1,
		RNAME_LENGTH = sizeof(rname) - 1,
		SOA_LENGTH = MNAME_LENGTH + 2 + RNAME_LENGTH + 2 + 5 * 4
	};
	uint16_t zone = lookup_owner(lookup, lookup->labels);
	uint32_t ttl = lookup->view->ttl;
	uint8_t *at = vigie_answer_rr(lookup->answer, section, zone, VIGIE_TYPE_SOA,
				      ttl < SOA_TTL_MAX ? ttl : SOA_TTL_MAX, SOA_LENGTH);

	if (!at)
		return;
	memcpy(at, mname, MNAME_LENGTH);
	at = write_u16(at + MNAME_LENGTH, 0xc000U | zone);
	memcpy(at, rname, RNAME_LENGTH);
	at = write_u16(at + RNAME_LENGTH, 0xc000U | zone);
	at = write_u32(at, __atomic_load_n(&lookup->view->records->serial, __ATOMIC_RELAXED));
	at = write_u32(at, SOA_REFRESH);
	at = write_u32(at, SOA_RETRY);
	at = write_u32(at, SOA_EXPIRE);
	write_u32(at, ttl);
}

/* The services that this server stands behind, found by its own addresses among the endpoints. */
struct fronts {
	const struct vigie_view *view;
	size_t local; /* index of the address that is looked at */
	bool walks;   /* its services are being walked through */
	struct slots_walk walk;
	const struct blob *blob;
};

/* Whether a service was met by way of an earlier address already. */
static bool was_met(const struct fronts *fronts)
{
	uint32_t index;

	for (size_t i = 0; i < fronts->local; i++)
		if (vigie_blob_find_address(fronts->blob, fronts->view->local[i].bytes, &index))
			return true;
	return false;
}

/* The next service, each once; NULL at the end. */
static const struct entry *next_front(struct fronts *fronts)
{
	const struct vigie_view *view = fronts->view;

	while (view->endpoints && fronts->local < view->local_count) {
		const uint8_t *address = view->local[fronts->local].bytes;
		const struct entry *entry;
		bool cluster;
		uint32_t index;

		if (!fronts->walks)
			vigie_reverse_begin(&fronts->walk, view->records, address);
		entry = vigie_reverse_next(&fronts->walk, &cluster);
		fronts->walks = entry != NULL;
		if (!entry) {
			fronts->local++;
			continue;
		}
		fronts->blob = entry_blob(entry);
		if (!cluster && fronts->blob && vigie_blob_find_address(fronts->blob, address, &index) &&
		    !was_met(fronts))
			return entry;
	}
	return NULL;
}

/* What to do with one address of a name server. `name` is spelled out. */
typedef void visit_address(const struct lookup *lookup, const uint8_t *name, const uint8_t *address,
			   bool first);

static void visit_front(const struct lookup *lookup, const struct entry *entry, const struct blob *blob,
			visit_address *visit)
{
	/* Under a reverse zone there are no services. */
	const struct vigie_view *view = lookup->view;
	const struct vigie_name *zone =
		vigie_name_is_reverse(lookup->zone) ? &view->zones[view->primary] : lookup->zone;
	uint8_t name[VIGIE_NAME_MAX];
	uint8_t address[16];

	if (blob->kind == BLOB_CLUSTER_IP) {
		if (vigie_lookup_spell(name, NULL, entry, zone) == 0)
			return;
		if (blob->has_v4) {
			address_from_v4(address, blob->v4);
			visit(lookup, name, address, true);
		}
		if (blob->has_v6)
			visit(lookup, name, blob->v6, !blob->has_v4);
		return;
	}
	for (uint32_t first = 0; first < blob->row_count;) {
		uint32_t end = vigie_blob_name_end(blob, first);
		const struct row *rows = blob_rows(blob);
		uint8_t label[1 + VIGIE_LABEL_MAX];

		vigie_blob_row_label(blob, first, label);
		if (vigie_lookup_spell(name, label, entry, zone) > 0)
			for (uint32_t i = first; i < end; i++) {
				if (i > first && rows[i].address == rows[i - 1].address)
					continue;
				blob_address(blob, rows[i].address, address);
				visit(lookup, name, address, i == first);
			}
		first = end;
	}
}

/* Visits the addresses of all name servers: the services that this server is behind, or the server itself.
 * False when there are none. */
static bool visit_servers(const struct lookup *lookup, visit_address *visit)
{
	const struct vigie_view *view = lookup->view;
	struct fronts fronts = {.view = view};
	const struct entry *entry;
	bool any = false;

	while ((entry = next_front(&fronts)) != NULL) {
		visit_front(lookup, entry, fronts.blob, visit);
		any = true;
	}
	if (!any && lookup->zone->length + 7 <= VIGIE_NAME_MAX) {
		uint8_t name[VIGIE_NAME_MAX] = "\2ns\3dns";

		memcpy(name + 7, lookup->zone->bytes, lookup->zone->length);
		for (size_t i = 0; i < view->local_count; i++)
			visit(lookup, name, view->local[i].bytes, i == 0);
		any = view->local_count > 0;
	}
	return any;
}

static void write_ns(const struct lookup *lookup, const uint8_t *name, const uint8_t *address, bool first)
{
	size_t length = vigie_name_length(name);
	uint8_t *rdata;

	if (!first)
		return;
	rdata = vigie_answer_rr(lookup->answer, VIGIE_ANSWER, lookup->owner, VIGIE_TYPE_NS, lookup->view->ttl,
				(uint16_t)length);
	if (rdata)
		memcpy(rdata, name, length);
}

static void write_glue(const struct lookup *lookup, const uint8_t *name, const uint8_t *address, bool first)
{
	bool v4 = address_is_v4(address);
	uint8_t *rdata =
		vigie_answer_rr_named(lookup->answer, VIGIE_ADDITIONAL, name,
				      v4 ? VIGIE_TYPE_A : VIGIE_TYPE_AAAA, lookup->view->ttl, v4 ? 4 : 16);

	if (rdata)
		memcpy(rdata, address + (v4 ? 12 : 0), v4 ? 4 : 16);
}

/* Writes an address of the type asked for, once: several services may have it. */
static void write_own(const struct lookup *lookup, const uint8_t *name, const uint8_t *address, bool first)
{
	uint16_t type = address_is_v4(address) ? VIGIE_TYPE_A : VIGIE_TYPE_AAAA;
	size_t length = type == VIGIE_TYPE_A ? 4 : 16;
	const uint8_t *begin = lookup->answer->buffer + lookup->answer->length;

	if (type != lookup->type)
		return;
	/* All records of the answer so far are of this one set. */
	for (size_t i = 0; i < lookup->answer->count[VIGIE_ANSWER]; i++) {
		begin -= length;
		if (memcmp(begin, address + 16 - length, length) == 0)
			return;
		begin -= RR_FIXED;
	}
	vigie_answer_address(lookup, VIGIE_ANSWER, lookup->owner, address);
}

enum outcome vigie_answer_apex(struct lookup *lookup)
{
	if (lookup->type == VIGIE_TYPE_SOA) {
		vigie_answer_soa(lookup, VIGIE_ANSWER);
		return OUTCOME_RECORDS;
	}
	if (lookup->type == VIGIE_TYPE_NS && visit_servers(lookup, write_ns)) {
		visit_servers(lookup, write_glue);
		return OUTCOME_RECORDS;
	}
	/* A zone may be as small as one address. */
	if (lookup->type == VIGIE_TYPE_PTR && vigie_name_is_reverse(lookup->name) &&
	    vigie_answer_reverse(lookup) == OUTCOME_RECORDS)
		return OUTCOME_RECORDS;
	return OUTCOME_NODATA;
}

enum outcome vigie_answer_ns_address(struct lookup *lookup)
{
	uint16_t before = lookup->answer->count[VIGIE_ANSWER];

	if (lookup->type != VIGIE_TYPE_A && lookup->type != VIGIE_TYPE_AAAA)
		return OUTCOME_NODATA;
	visit_servers(lookup, write_own);
	return lookup->answer->count[VIGIE_ANSWER] > before ? OUTCOME_RECORDS : OUTCOME_NODATA;
}

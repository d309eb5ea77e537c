/* The entrance of all queries: which zone, which part of its name space, what a name that is not there means,
 * and chains of external names. */
#include "lookup.h"

enum {
	CHAIN_MAX = 10 /* links of a chain of external names that are followed, as many as CoreDNS follows */
};

/* The longest zone that the name is in. */
static inline const struct vigie_name *find_zone(const struct vigie_view *view, const struct vigie_name *name)
{
	for (size_t i = 0; i < view->zone_count; i++) {
		if (vigie_name_is_below(name, &view->zones[i]))
			return &view->zones[i];
	}
	return NULL;
}

size_t vigie_lookup_spell(uint8_t name[VIGIE_NAME_MAX], const uint8_t *label, const struct entry *entry,
			  const struct vigie_name *zone)
{
	size_t label_length = label ? 1U + label[0] : 0;
	uint8_t *at = name;

	if (label_length + entry->key_length + 4 + zone->length > VIGIE_NAME_MAX)
		return 0;
	if (label)
		memcpy(at, label, label_length);
	at += label_length;
	memcpy(at, entry->key, entry->key_length);
	at += entry->key_length;
	memcpy(at, "\3svc", 4);
	at += 4;
	memcpy(at, zone->bytes, zone->length);
	return (size_t)(at - name) + zone->length;
}

bool vigie_answer_address(const struct lookup *lookup, enum vigie_section section, uint16_t owner,
			  const uint8_t *address)
{
	bool v4 = address_is_v4(address);
	uint8_t *rdata = vigie_answer_rr(lookup->answer, section, owner, v4 ? VIGIE_TYPE_A : VIGIE_TYPE_AAAA,
					 lookup->view->ttl, v4 ? 4 : 16);

	if (rdata)
		memcpy(rdata, address + (v4 ? 12 : 0), v4 ? 4 : 16);
	return rdata;
}

/* TXT dns-version.ZONE, the only name that is neither a service nor a pod (specification section 2.2). */
static enum outcome answer_version(const struct lookup *lookup)
{
	enum {
		VERSION_TTL = 28800 /* seconds; the specification's example, and CoreDNS' constant */
	};
	static const uint8_t version[] = "\5"
					 "1.1.0";
	uint8_t *rdata;

	if (lookup->type != VIGIE_TYPE_TXT)
		return OUTCOME_NODATA;
	rdata = vigie_answer_rr(lookup->answer, VIGIE_ANSWER, lookup->owner, VIGIE_TYPE_TXT, VERSION_TTL,
				sizeof(version) - 1);
	if (rdata)
		memcpy(rdata, version, sizeof(version) - 1);
	return OUTCOME_RECORDS;
}

/* By the label next to the zone. */
static enum outcome answer_name(struct lookup *lookup)
{
	const uint8_t *last;

	if (lookup->labels == 0)
		return vigie_answer_apex(lookup);
	last = lookup_label(lookup, lookup->labels - 1);
	if (label_is(last, "\3dns")) {
		if (lookup->labels == 1)
			return OUTCOME_NODATA;
		if (lookup->labels == 2 && label_is(lookup_label(lookup, 0), "\2ns"))
			return vigie_answer_ns_address(lookup);
		return OUTCOME_NXDOMAIN;
	}
	if (vigie_name_is_reverse(lookup->name))
		return vigie_answer_reverse(lookup);
	if (label_is(last, "\3svc"))
		return vigie_answer_service(lookup);
	if (label_is(last, "\3pod"))
		return vigie_answer_pod(lookup);
	if (lookup->labels == 1 && label_is(last, "\13dns-version"))
		return answer_version(lookup);
	return OUTCOME_NXDOMAIN;
}

/* Writes the CNAME record that a look-up came upon and goes on to its target, for which `target` is the
 * memory; false when the record does not fit. */
static bool follow(struct lookup *lookup, struct vigie_name *target)
{
	uint16_t length = (uint16_t)lookup->blob->target_length;
	uint8_t *rdata = vigie_answer_rr(lookup->answer, VIGIE_ANSWER, lookup->owner, VIGIE_TYPE_CNAME,
					 lookup->view->ttl, length);

	if (!rdata)
		return false;
	memcpy(rdata, blob_at(lookup->blob, lookup->blob->target), length);
	if (vigie_name_from_wire(target, rdata, length) != VIGIE_OK)
		return false; /* the writer lets no such name in */
	lookup->name = target;
	lookup->owner = vigie_answer_offset(lookup->answer, rdata);
	return true;
}

static bool enter_zone(struct lookup *lookup)
{
	lookup->zone = find_zone(lookup->view, lookup->name);
	if (!lookup->zone)
		return false;
	lookup->labels = (unsigned)lookup->name->labels - lookup->zone->labels;
	return true;
}

static enum vigie_lookup finish(const struct lookup *lookup, enum outcome outcome, bool chained)
{
	struct vigie_answer *answer = lookup->answer;

	if (outcome == OUTCOME_RECORDS)
		return VIGIE_LOOKUP_ANSWERED;
	vigie_answer_soa(lookup, VIGIE_AUTHORITY);
	if (outcome == OUTCOME_NXDOMAIN) {
		bool synced = vigie_records_synced(lookup->view->records);

		/* The code is that of the last name (RFC 6604 section 2). The name that was asked for exists
		 * then, so nothing is to be fallen through. */
		answer->rcode = synced ? VIGIE_RCODE_NXDOMAIN : VIGIE_RCODE_SERVFAIL;
		if (!chained)
			return synced ? VIGIE_LOOKUP_NXDOMAIN : VIGIE_LOOKUP_UNSYNCED;
	}
	return outcome == OUTCOME_INTERIOR && !chained ? VIGIE_LOOKUP_INTERIOR : VIGIE_LOOKUP_ANSWERED;
}

/* Goes along a chain of external names from its first link on. */
static enum vigie_lookup answer_chain(struct lookup *lookup, struct vigie_name *target)
{
	const struct entry *chain[CHAIN_MAX];

	for (size_t links = 0; links < CHAIN_MAX; links++) {
		enum outcome outcome;

		for (size_t i = 0; i < links; i++)
			if (chain[i] == lookup->entry)
				return VIGIE_LOOKUP_ANSWERED; /* a circle: it has no end to tell of */
		chain[links] = lookup->entry;
		if (!follow(lookup, target))
			return VIGIE_LOOKUP_ANSWERED;
		if (!enter_zone(lookup))
			return VIGIE_LOOKUP_CHASE;
		outcome = answer_name(lookup);
		if (outcome != OUTCOME_CNAME)
			return finish(lookup, outcome, true);
	}
	return VIGIE_LOOKUP_ANSWERED;
}

enum vigie_lookup vigie_records_answer(const struct vigie_view *view, const struct vigie_query *query,
				       uint32_t rotation, struct vigie_answer *answer,
				       struct vigie_name *target)
{
	struct lookup lookup = {
		.view = view,
		.name = &query->name,
		.type = query->type,
		.owner = VIGIE_OWNER_QUESTION,
		.rotation = rotation,
		.answer = answer,
	};
	enum outcome outcome;

	if (!enter_zone(&lookup))
		return VIGIE_LOOKUP_OTHER;
	answer->flags |= VIGIE_FLAG_AA;
	answer->rotated = rotation != 0;
	if (query->type == VIGIE_TYPE_AXFR || query->type == VIGIE_TYPE_IXFR) {
		answer->rcode = VIGIE_RCODE_REFUSED;
		answer->flags &= (uint16_t)~VIGIE_FLAG_AA;
		return VIGIE_LOOKUP_REFUSED;
	}
	outcome = answer_name(&lookup);
	return outcome == OUTCOME_CNAME ? answer_chain(&lookup, target) : finish(&lookup, outcome, false);
}

void vigie_view_plan(struct vigie_view *view)
{
	static const uint8_t label[] = "\3svc";
	const size_t label_length = sizeof(label) - 1;
	const struct vigie_name *zone = &view->zones[view->primary];
	uint8_t wire[sizeof(label) + VIGIE_NAME_MAX];

	memcpy(wire, label, label_length);
	memcpy(wire + label_length, zone->bytes, zone->length);
	if (vigie_name_is_reverse(zone) ||
	    vigie_name_from_wire(&view->services, wire, label_length + zone->length) != VIGIE_OK)
		view->services.length = 0;
	for (size_t i = 0; i < view->zone_count && view->services.length > 0; i++) {
		if (vigie_name_is_below(&view->zones[i], &view->services))
			view->services.length = 0;
	}
}

/* Writes the one record of a ClusterIP service; the name that is asked for is its owner. Inlined, so that
 * type and size are constants. */
static inline __attribute__((always_inline)) void write_address(const struct vigie_view *view,
								struct vigie_answer *answer, uint16_t type,
								const uint8_t *address, size_t size)
{
	uint8_t *at = vigie_answer_room(answer, VIGIE_ANSWER, RR_FIXED + size);

	if (!at)
		return; /* TC says so */
	at = write_u16(at, 0xc000U | VIGIE_OWNER_QUESTION);
	at = write_u64(at, (uint64_t)type << 48 | (uint64_t)VIGIE_CLASS_IN << 32 | view->ttl);
	at = write_u16(at, (unsigned)size);
	memcpy(at, address, size);
}

/* The short way for what is asked most by far: the address of a ClusterIP service,
 * SERVICE.NAMESPACE.svc.ZONE. It says what the long way would say, or nothing (test_lookup.c compares them).
 */
bool vigie_records_answer_short(const struct vigie_view *view, const struct vigie_query *query,
				struct vigie_answer *answer)
{
	const struct vigie_name *services = &view->services;
	const struct vigie_name *name = &query->name;
	const struct entry *entry;
	const struct blob *blob;
	size_t key_length; /* of SERVICE.NAMESPACE */

	if ((query->type != VIGIE_TYPE_A && query->type != VIGIE_TYPE_AAAA) ||
	    name->labels != 2U + services->labels)
		return false;
	key_length = name->offset[2];
	if (name->length != key_length + services->length ||
	    !vigie_name_same(name->bytes + key_length, services->bytes, services->length))
		return false;
	entry = vigie_table_find(view->records, name->bytes, key_length);
	blob = entry && space_exposed(entry->space) ? entry_blob(entry) : NULL;
	if (!blob || blob->kind != BLOB_CLUSTER_IP || (view->ignore_empty_service && blob->row_count == 0))
		return false;
	if (__builtin_expect(query->type == VIGIE_TYPE_A, 1) && blob->has_v4)
		write_address(view, answer, VIGIE_TYPE_A, blob->v4, sizeof(blob->v4));
	else if (query->type == VIGIE_TYPE_AAAA && blob->has_v6)
		write_address(view, answer, VIGIE_TYPE_AAAA, blob->v6, sizeof(blob->v6));
	else
		return false;
	answer->flags |= VIGIE_FLAG_AA;
	answer->rotated = true; /* there is one */
	return true;
}

/* The answer of a zone to a question: RFC 1034 section 4.3.2, with signatures and proofs where they are asked
 * for. */
#include <string.h>

#include "zone.h"

enum {
	RECORD_SIZE = 2 + 10 /* bytes of a record before its RDATA when the owner is a pointer */
};

/* The question on its way: `name` is what was asked, later the target of the last alias. */
struct walk {
	const struct vigie_zone *zone;
	struct vigie_answer *answer;
	struct vigie_name name;
	size_t offset; /* where `name` stands in the answer */
	uint16_t type;
	bool edns_do;
	unsigned links;
	uint32_t seen[VIGIE_ZONE_CHAIN_MAX]; /* nodes whose CNAME was followed */
};

/* Where a name is in the zone. */
struct place {
	uint32_t before;   /* the node itself or the last one before it */
	uint32_t encloser; /* the closest that exists */
	uint32_t cut;      /* see struct node */
	bool exact;
};

static struct place find(const struct vigie_zone *zone, const struct vigie_name *name)
{
	struct place place;
	uint8_t key[KEY_MAX];
	size_t length = key_make(name, zone->origin.labels, key);
	const struct node *node;
	size_t common;

	place.before = place.encloser = zone_find(zone, key, length, &place.exact);
	node = &zone->nodes[place.encloser];
	place.cut = node->cut;
	if (place.exact)
		return place;
	common = key_common(zone->pool + node->key, node->key_length, key, length);
	while (node->depth > common) {
		place.encloser = node->parent;
		node = &zone->nodes[place.encloser];
	}
	place.cut = node->cut;
	if (place.cut == NODE_NONE && zone_get_set(zone, place.encloser, VIGIE_TYPE_DNAME))
		place.cut = place.encloser;
	return place;
}

/* Who owns a record: a name in the message, or spelled out where no pointer reaches it. */
struct owner {
	uint16_t offset; /* 0: spelled out */
	const uint8_t *name;
};

/* The owner that is `depth` labels below the origin, as a part of the walk's name. */
static struct owner owner_above(const struct walk *walk, unsigned depth)
{
	unsigned label = walk->name.labels - walk->zone->origin.labels - depth;
	size_t offset = walk->offset + walk->name.offset[label];

	return (struct owner){
		.offset = offset <= VIGIE_POINTER_MAX ? (uint16_t)offset : 0,
		.name = walk->name.bytes + walk->name.offset[label],
	};
}

static struct owner owner_self(const struct walk *walk)
{
	return owner_above(walk, walk->name.labels - walk->zone->origin.labels);
}

static struct owner owner_node(const struct vigie_zone *zone, uint32_t node)
{
	return (struct owner){.name = zone->pool + zone->nodes[node].name};
}

static bool put_record(struct vigie_answer *answer, enum vigie_section section, const struct owner *owner,
		       uint16_t type, uint32_t ttl, const uint8_t *rdata, uint16_t length)
{
	uint8_t *at = owner->offset ? vigie_answer_rr(answer, section, owner->offset, type, ttl, length)
				    : vigie_answer_rr_named(answer, section, owner->name, type, ttl, length);

	if (at)
		memcpy(at, rdata, length);
	return at != NULL;
}

static bool put_records(const struct walk *walk, enum vigie_section section, const struct owner *owner,
			uint16_t type, uint32_t ttl, uint32_t data, uint16_t count)
{
	const uint8_t *record = walk->zone->pool + data;

	for (; count > 0; count--) {
		uint16_t length = pool_length(record);

		if (!put_record(walk->answer, section, owner, type, ttl, record + 2, length))
			return false;
		record += 2 + length;
	}
	return true;
}

/* Writes a set, and its signatures when they are asked for. False when not all of it fits. */
static bool put_set(const struct walk *walk, enum vigie_section section, struct owner owner,
		    const struct set *set, uint32_t ttl_max)
{
	uint32_t ttl = set->ttl < ttl_max ? set->ttl : ttl_max;

	if (!put_records(walk, section, &owner, set->type, ttl, set->data, set->count))
		return false;
	return !walk->edns_do ||
	       put_records(walk, section, &owner, VIGIE_TYPE_RRSIG,
			   set->sig_ttl < ttl_max ? set->sig_ttl : ttl_max, set->sig_data, set->sig_count);
}

static size_t set_size(const struct walk *walk, const struct set *set)
{
	const uint8_t *record = walk->zone->pool + set->data;
	unsigned count = set->count + (walk->edns_do ? set->sig_count : 0U);
	size_t size = 0;

	for (; count > 0; count--) {
		size += RECORD_SIZE + pool_length(record);
		record += 2 + pool_length(record);
	}
	return size;
}

/* The zone's name servers beside a positive answer: whole, or not at all, for they are not worth a
 * truncation. */
static void put_name_servers(const struct walk *walk)
{
	const struct set *ns = zone_get_set(walk->zone, NODE_APEX, VIGIE_TYPE_NS);

	if (ns && walk->answer->limit - walk->answer->length >= set_size(walk, ns))
		put_set(walk, VIGIE_AUTHORITY, owner_above(walk, 0), ns, UINT32_MAX);
}

/* The SOA of a negative answer: it may be kept for the lower of its TTL and MINIMUM (RFC 2308 section 3). */
static void put_soa(const struct walk *walk)
{
	struct vigie_soa soa;

	vigie_zone_soa(walk->zone, &soa);
	put_set(walk, VIGIE_AUTHORITY, owner_above(walk, 0),
		zone_get_set(walk->zone, NODE_APEX, VIGIE_TYPE_SOA), soa.minimum);
}

/* Adds the NSEC record of a node. */
static void put_nsec(const struct walk *walk, uint32_t node)
{
	const struct set *nsec = zone_get_set(walk->zone, node, VIGIE_TYPE_NSEC);

	if (nsec)
		put_set(walk, VIGIE_AUTHORITY, owner_node(walk->zone, node), nsec, UINT32_MAX);
}

/* The last node with an NSEC record that is not behind `node`: what is no owner of its own has none. */
static uint32_t nsec_before(const struct vigie_zone *zone, uint32_t node)
{
	return zone->nodes[node].nsec;
}

/* The place of `*.ENCLOSER`, which does not exist: what proves that. */
static uint32_t before_wildcard(const struct vigie_zone *zone, uint32_t encloser)
{
	const struct node *node = &zone->nodes[encloser];
	uint8_t key[KEY_MAX + 2];
	bool exact;

	memcpy(key, zone->pool + node->key, node->key_length);
	key[node->key_length] = '*';
	key[node->key_length + 1] = 0;
	return zone_find(zone, key, node->key_length + 2U, &exact);
}

/* Where the name that a record's RDATA points to stands in it; 0 behind the end: no such name. */
static bool has_target(uint16_t type, size_t *skip)
{
	switch (type) {
	case VIGIE_TYPE_NS:
		*skip = 0;
		return true;
	case VIGIE_TYPE_MX:
	case VIGIE_TYPE_SVCB:
	case VIGIE_TYPE_HTTPS:
		*skip = 2;
		return true;
	case VIGIE_TYPE_SRV:
		*skip = 6;
		return true;
	default:
		return false;
	}
}

/* Whether an earlier record of the set has the same target. */
static bool is_repeated(const uint8_t *record, unsigned index, size_t skip, const uint8_t *target)
{
	for (; index > 0; index--) {
		if (vigie_name_equal(record + 2 + skip, target))
			return true;
		record += 2 + pool_length(record);
	}
	return false;
}

/* The addresses, where the zone has them, of what a set's records point to. Glue counts: the caller asks for
 * it with referrals. */
static void put_addresses(const struct walk *walk, const struct set *set)
{
	const struct vigie_zone *zone = walk->zone;
	const uint8_t *record = zone->pool + set->data;
	size_t skip;

	if (!has_target(set->type, &skip))
		return;
	for (unsigned i = 0; i < set->count; i++, record += 2 + pool_length(record)) {
		const uint8_t *target = record + 2 + skip;
		struct vigie_name name;
		uint32_t node;

		if (vigie_name_from_wire(&name, target, VIGIE_NAME_MAX) ||
		    is_repeated(zone->pool + set->data, i, skip, target))
			continue;
		node = zone_find_name(zone, &name);
		if (node == NODE_NONE)
			continue;
		for (int family = 0; family < 2; family++) {
			const struct set *addresses =
				zone_get_set(zone, node, family ? VIGIE_TYPE_AAAA : VIGIE_TYPE_A);

			if (addresses)
				put_set(walk, VIGIE_ADDITIONAL, owner_node(zone, node), addresses,
					UINT32_MAX);
		}
	}
}

/* A delegation: the child's name servers, whether it is signed, and the addresses without which it cannot be
 * reached. */
static void refer(const struct walk *walk, uint32_t cut)
{
	const struct vigie_zone *zone = walk->zone;
	const struct set *ns = zone_get_set(zone, cut, VIGIE_TYPE_NS);
	const struct set *ds = zone_get_set(zone, cut, TYPE_DS);
	struct owner owner = owner_above(walk, zone->nodes[cut].depth);

	if (walk->links == 0)
		walk->answer->flags &= (uint16_t)~VIGIE_FLAG_AA;
	put_records(walk, VIGIE_AUTHORITY, &owner, VIGIE_TYPE_NS, ns->ttl, ns->data, ns->count);
	if (walk->edns_do) {
		if (ds)
			put_set(walk, VIGIE_AUTHORITY, owner, ds, UINT32_MAX);
		else
			put_nsec(walk, cut);
	}
	put_addresses(walk, ns);
}

static enum vigie_zone_result no_data(const struct walk *walk, uint32_t node, const struct place *place)
{
	put_soa(walk);
	if (walk->edns_do) {
		uint32_t own = nsec_before(walk->zone, node);

		put_nsec(walk, own);
		/* By a wildcard: that there is no closer match is proven, too (RFC 4035 section 3.1.3.4). */
		if (!place->exact && nsec_before(walk->zone, place->before) != own)
			put_nsec(walk, nsec_before(walk->zone, place->before));
	}
	return VIGIE_ZONE_ANSWERED;
}

static enum vigie_zone_result no_name(const struct walk *walk, const struct place *place)
{
	walk->answer->rcode = VIGIE_RCODE_NXDOMAIN;
	put_soa(walk);
	if (walk->edns_do) {
		uint32_t name = nsec_before(walk->zone, place->before);
		uint32_t wildcard = nsec_before(walk->zone, before_wildcard(walk->zone, place->encloser));

		put_nsec(walk, name);
		if (wildcard != name)
			put_nsec(walk, wildcard);
	}
	return walk->links == 0 ? VIGIE_ZONE_NXDOMAIN : VIGIE_ZONE_ANSWERED;
}

/* What to do next. */
enum step {
	STEP_DONE,
	STEP_AGAIN, /* the walk's name is an alias' target */
	STEP_OUTSIDE
};

/* The walk goes on at `target`, which stands in the answer at `offset`. */
static enum step follow(struct walk *walk, const uint8_t *target, size_t offset)
{
	vigie_name_from_wire(&walk->name, target, VIGIE_NAME_MAX);
	walk->offset = offset;
	if (!vigie_name_is_below(&walk->name, &walk->zone->origin))
		return STEP_OUTSIDE;
	return walk->links < VIGIE_ZONE_CHAIN_MAX ? STEP_AGAIN : STEP_DONE;
}

/* The name is below a DNAME: the record, and the CNAME that it means for this name (RFC 6672 section 3). */
static enum step redirect(struct walk *walk, uint32_t node)
{
	const struct vigie_zone *zone = walk->zone;
	const struct set *dname = zone_get_set(zone, node, VIGIE_TYPE_DNAME);
	const uint8_t *target = zone->pool + dname->data + 2;
	struct owner owner = owner_above(walk, zone->nodes[node].depth);
	size_t prefix = (size_t)(owner.name - walk->name.bytes);
	size_t length = vigie_name_length(target);
	uint8_t name[VIGIE_NAME_MAX];
	struct owner self = owner_self(walk);
	size_t end;

	if (!put_set(walk, VIGIE_ANSWER, owner, dname, UINT32_MAX))
		return STEP_DONE;
	if (prefix + length > VIGIE_NAME_MAX) {
		walk->answer->rcode = RCODE_YXDOMAIN;
		return STEP_DONE;
	}
	memcpy(name, walk->name.bytes, prefix);
	memcpy(name + prefix, target, length);
	if (!put_record(walk->answer, VIGIE_ANSWER, &self, VIGIE_TYPE_CNAME, dname->ttl, name,
			(uint16_t)(prefix + length)))
		return STEP_DONE;
	walk->seen[walk->links++] = NODE_NONE;
	if (walk->type == VIGIE_TYPE_CNAME)
		return STEP_DONE;
	end = walk->answer->length;
	return follow(walk, name, end - prefix - length);
}

/* A CNAME at the name, or at the wildcard that stands for it. */
static enum step alias(struct walk *walk, uint32_t node, const struct set *cname)
{
	const uint8_t *record = walk->zone->pool + cname->data;
	struct owner owner = owner_self(walk);
	size_t offset = walk->answer->length + (owner.offset ? 2 : walk->name.length) + RECORD_SIZE - 2;

	if (!put_set(walk, VIGIE_ANSWER, owner, cname, UINT32_MAX))
		return STEP_DONE;
	for (unsigned i = 0; i < walk->links; i++) {
		if (walk->seen[i] == node)
			return STEP_DONE; /* a circle: the client has all of it */
	}
	walk->seen[walk->links++] = node;
	return follow(walk, record + 2, offset);
}

/* All signatures of a node: what a question for RRSIG gets. */
static bool put_signatures(const struct walk *walk, uint32_t node)
{
	const struct set *set = walk->zone->sets + walk->zone->nodes[node].sets;
	struct owner owner = owner_self(walk);
	bool any = false;

	for (const struct set *end = set + walk->zone->nodes[node].set_count; set < end; set++) {
		any |= set->sig_count > 0;
		if (!put_records(walk, VIGIE_ANSWER, &owner, VIGIE_TYPE_RRSIG, set->sig_ttl, set->sig_data,
				 set->sig_count))
			return true;
	}
	return any;
}

/* The set that a question's type asks for. ANY gets one set, as RFC 8482 section 4.1 lets it. */
static const struct set *wanted_set(const struct walk *walk, uint32_t node)
{
	const struct set *set = walk->zone->sets + walk->zone->nodes[node].sets;

	if (walk->type != VIGIE_TYPE_ANY)
		return zone_get_set(walk->zone, node, walk->type);
	for (const struct set *end = set + walk->zone->nodes[node].set_count; set < end; set++) {
		if (set->count > 0)
			return set;
	}
	return NULL;
}

/* The name exists, or a wildcard stands for it: `node` holds its records. */
static enum step answer_node(struct walk *walk, uint32_t node, const struct place *place)
{
	const struct vigie_zone *zone = walk->zone;
	const struct set *cname = zone_get_set(zone, node, VIGIE_TYPE_CNAME);
	const struct set *set = wanted_set(walk, node);
	size_t unused;

	if (cname && set != cname && walk->type != VIGIE_TYPE_NSEC && walk->type != VIGIE_TYPE_RRSIG)
		return alias(walk, node, cname);
	if (walk->type == VIGIE_TYPE_RRSIG) {
		if (!put_signatures(walk, node))
			no_data(walk, node, place);
		return STEP_DONE;
	}
	if (!set) {
		no_data(walk, node, place);
		return STEP_DONE;
	}
	if (!put_set(walk, VIGIE_ANSWER, owner_self(walk), set, UINT32_MAX))
		return STEP_DONE;
	if (node != NODE_APEX || set->type != VIGIE_TYPE_NS)
		put_name_servers(walk);
	if (!place->exact && walk->edns_do)
		put_nsec(walk, nsec_before(zone, place->before));
	if (has_target(set->type, &unused))
		put_addresses(walk, set);
	return STEP_DONE;
}

/* One round: from the walk's name to an answer, a referral or the next alias. */
static enum step step(struct walk *walk, enum vigie_zone_result *result)
{
	const struct vigie_zone *zone = walk->zone;
	struct place place = find(zone, &walk->name);
	uint32_t wildcard;

	*result = VIGIE_ZONE_ANSWERED;
	if (place.cut != NODE_NONE) {
		/* A DS is the parent's own, at the cut itself (RFC 4035 section 3.1.4.1). */
		bool own = place.exact && place.cut == place.before && walk->type == TYPE_DS;
		bool below = !place.exact || place.cut != place.before;

		if (below && zone_get_set(zone, place.cut, VIGIE_TYPE_DNAME))
			return redirect(walk, place.cut);
		if (!own) {
			refer(walk, place.cut);
			return STEP_DONE;
		}
	}
	if (place.exact)
		return answer_node(walk, place.before, &place);
	wildcard = zone->nodes[place.encloser].wildcard;
	if (wildcard != NODE_NONE)
		return answer_node(walk, wildcard, &place);
	*result = no_name(walk, &place);
	return STEP_DONE;
}

enum vigie_zone_result vigie_zone_answer(const struct vigie_zone *zone, const struct vigie_query *query,
					 struct vigie_answer *answer, struct vigie_name *target)
{
	struct walk walk = {
		.zone = zone,
		.answer = answer,
		.name = query->name,
		.offset = VIGIE_OWNER_QUESTION,
		.type = query->type,
		.edns_do = query->edns_do,
	};
	enum vigie_zone_result result;
	enum step next;

	answer->flags |= VIGIE_FLAG_AA;
	do {
		next = step(&walk, &result);
	} while (next == STEP_AGAIN);
	if (next == STEP_OUTSIDE) {
		*target = walk.name;
		return VIGIE_ZONE_CHASE;
	}
	return result;
}

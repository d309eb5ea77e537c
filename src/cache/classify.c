/* What a reply says for a cache (RFC 2308), and its TTLs. */
#include <string.h>

#include "vigie/bytes.h"
#include "vigie/cache.h"
#include "vigie/record.h"

enum {
	SOA_FIXED = 20 /* bytes of SOA RDATA behind its names; the last four are MINIMUM */
};

/* The CNAMEs of an answer section while they are followed. */
struct chain {
	const struct vigie_query *query;
	struct vigie_name name; /* where they have led so far */
	unsigned links;
	bool found;  /* a record that answers the question, at that name */
	bool broken; /* too long, which a circle is as well, or malformed */
};

static bool same_name(const struct vigie_name *a, const struct vigie_name *b)
{
	return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

/* One record of the answer section. */
static void follow_record(struct chain *chain, const struct vigie_record_walk *walk,
			  const struct vigie_record *record)
{
	uint16_t type = chain->query->type;
	struct vigie_name owner;

	if (record->type != type && record->type != VIGIE_TYPE_CNAME && type != VIGIE_TYPE_ANY)
		return; /* signatures and DNAMEs beside the chain */
	if (!vigie_record_name(walk, record->owner, &owner)) {
		chain->broken = true;
		return;
	}
	if (!same_name(&owner, &chain->name))
		return;
	if (record->type == type || type == VIGIE_TYPE_ANY)
		chain->found = true;
	else if (++chain->links > VIGIE_CACHE_CHAIN_MAX ||
		 !vigie_record_name(walk, record->rdata, &chain->name))
		chain->broken = true;
}

/* Whether the answer section answers the question, at the question's name or at the end of its CNAMEs.
 * Servers write them in order; where one does not, the section is gone through again for as long as that
 * leads further. */
static bool answers_question(const struct vigie_answer *answer)
{
	struct chain chain = {.query = answer->query, .name = answer->query->name};
	unsigned before;

	do {
		struct vigie_record_walk walk;
		struct vigie_record record;

		before = chain.links;
		vigie_record_walk_answer(&walk, answer);
		while (!chain.broken && !chain.found && vigie_record_next(&walk, &record) &&
		       record.section == VIGIE_ANSWER)
			follow_record(&chain, &walk, &record);
	} while (chain.links > before && !chain.broken && !chain.found);
	return chain.found && !chain.broken;
}

/* The kind of an answer without what it asked for. */
static void classify_negative(const struct vigie_answer *answer, bool soa, struct vigie_cache_reply *reply)
{
	switch (answer->rcode) {
	case VIGIE_RCODE_NOERROR:
		reply->kind = VIGIE_CACHED_NODATA;
		break;
	case VIGIE_RCODE_NXDOMAIN:
		reply->kind = VIGIE_CACHED_NXDOMAIN;
		break;
	default:
		reply->kind = VIGIE_CACHED_FAILURE;
		return;
	}
	/* Without a SOA nobody says for how long (RFC 2308 section 5); it may as well be a referral. */
	reply->cacheable = reply->cacheable && soa;
}

void vigie_cache_classify(const struct vigie_answer *answer, struct vigie_cache_reply *reply)
{
	bool denies = answer->count[VIGIE_ANSWER] == 0 || answer->rcode == VIGIE_RCODE_NXDOMAIN;
	unsigned records = (unsigned)answer->count[0] + answer->count[1] + answer->count[2];
	struct vigie_record_walk walk;
	struct vigie_record record;
	bool soa = false;

	reply->cacheable = (answer->flags & VIGIE_FLAG_TC) == 0;
	reply->kind = VIGIE_CACHED_FAILURE;
	reply->ttl = UINT32_MAX;
	reply->count = 0;
	vigie_record_walk_answer(&walk, answer);
	while (reply->count < VIGIE_CACHE_RECORDS_MAX && vigie_record_next(&walk, &record)) {
		reply->at[reply->count++] = (uint16_t)(record.fixed + 4);
		reply->ttl = record.ttl < reply->ttl ? record.ttl : reply->ttl;
		if (record.section == VIGIE_AUTHORITY && record.type == VIGIE_TYPE_SOA &&
		    record.rdlength > SOA_FIXED) {
			uint32_t minimum = read_u32(answer->buffer + record.end - 4);

			soa = true;
			if (denies && minimum < reply->ttl)
				reply->ttl = minimum;
		}
	}
	if (reply->count < records) {
		reply->cacheable = false; /* too many, or malformed */
		return;
	}
	if (answer->rcode == VIGIE_RCODE_NOERROR && answers_question(answer))
		reply->kind = VIGIE_CACHED_ANSWER;
	else
		classify_negative(answer, soa, reply);
}

void vigie_cache_clamp(struct vigie_answer *answer, const struct vigie_cache_reply *reply, uint32_t least,
		       uint32_t most)
{
	for (unsigned i = 0; i < reply->count; i++) {
		uint8_t *at = answer->buffer + reply->at[i];
		uint32_t ttl = read_u32(at);

		ttl = ttl < least ? least : ttl;
		write_u32(at, ttl > most ? most : ttl);
	}
}

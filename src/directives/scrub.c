#include "scrub.h"

#include <string.h>

#include "record_writer.h"
#include "vigie/cache.h"
#include "vigie/record.h"

enum {
	NAMES_MAX = 1 + VIGIE_CACHE_CHAIN_MAX,
	HOSTS_MAX = 64 /* whose addresses may be additional records */
};

struct names {
	size_t count;
	struct vigie_name at[HOSTS_MAX];
};

/* What a reply's records may be about. */
struct scope {
	struct names chain; /* the question's name, and where CNAMEs lead from there */
	struct names hosts;
};

static bool holds(const struct names *names, const struct vigie_name *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (vigie_name_equal(names->at[i].bytes, name->bytes))
			return true;
	}
	return false;
}

static bool holds_below(const struct names *names, const struct vigie_name *zone)
{
	for (size_t i = 0; i < names->count; i++) {
		if (vigie_name_is_below(&names->at[i], zone))
			return true;
	}
	return false;
}

/* Follows the CNAMEs of the answer section. Servers write them in order; where one does not, the section is
 * gone through again for as long as that leads further. */
static void follow(struct names *chain, const struct vigie_record_walk *begin)
{
	size_t before;

	do {
		struct vigie_record_walk walk = *begin;
		struct vigie_record record;

		before = chain->count;
		while (chain->count < NAMES_MAX && vigie_record_next(&walk, &record) &&
		       record.section == VIGIE_ANSWER) {
			struct vigie_name *next = &chain->at[chain->count];

			if (record.type == VIGIE_TYPE_CNAME && vigie_record_name(&walk, record.owner, next) &&
			    vigie_name_equal(next->bytes, next[-1].bytes) &&
			    vigie_record_name(&walk, record.rdata, next) && !holds(chain, next))
				chain->count++;
		}
	} while (chain->count > before && chain->count < NAMES_MAX);
}

/* The host that a record leads to may have its addresses behind it. */
static void add_host(struct names *hosts, const struct vigie_record_walk *walk,
		     const struct vigie_record *record)
{
	bool service = record->type == VIGIE_TYPE_SVCB || record->type == VIGIE_TYPE_HTTPS;
	uint8_t scratch[VIGIE_RDATA_SCRATCH];
	const uint8_t *rdata;
	size_t length;
	size_t at;

	if (hosts->count == HOSTS_MAX)
		return;
	length = vigie_record_rdata(walk, record, scratch, &rdata);
	if (length == SIZE_MAX)
		return;
	at = service ? 2 : record_target(record->type, rdata, length);
	if (at < length &&
	    vigie_name_from_wire(&hosts->at[hosts->count], rdata + at, length - at) == VIGIE_OK)
		hosts->count++;
}

/* Whether a record belongs to the answer. */
static bool belongs(struct scope *scope, const struct vigie_record_walk *walk,
		    const struct vigie_record *record)
{
	struct vigie_name owner;
	bool asked;

	if (!vigie_record_name(walk, record->owner, &owner))
		return false;
	asked = holds(&scope->chain, &owner);
	switch (record->section) {
	case VIGIE_ANSWER:
		return asked || ((record->type == VIGIE_TYPE_DNAME || record->type == VIGIE_TYPE_RRSIG) &&
				 holds_below(&scope->chain, &owner));
	case VIGIE_AUTHORITY:
		return record->type == VIGIE_TYPE_NSEC || record->type == VIGIE_TYPE_NSEC3 ||
		       record->type == VIGIE_TYPE_RRSIG || holds_below(&scope->chain, &owner);
	default:
		return asked || holds(&scope->hosts, &owner);
	}
}

/* The next record that belongs to the answer; `*left_out` is set when one was passed over. */
static bool next_record(struct scope *scope, struct vigie_record_walk *walk, struct vigie_record *record,
			bool *left_out)
{
	while (vigie_record_next(walk, record) && record->type != VIGIE_TYPE_OPT) {
		if (belongs(scope, walk, record)) {
			if (record->section != VIGIE_ADDITIONAL &&
			    walk->left[VIGIE_ADDITIONAL] > 0) /* else nobody asks */
				add_host(&scope->hosts, walk, record);
			return true;
		}
		*left_out = true;
	}
	return false;
}

bool scrub(struct vigie_answer *answer, const uint8_t *reply, size_t length)
{
	const uint16_t flags = VIGIE_FLAG_AA | VIGIE_FLAG_TC | VIGIE_FLAG_RA | VIGIE_FLAG_AD;
	struct record_writer writer = {.answer = answer};
	uint16_t rcode = answer->rcode;
	struct vigie_record_walk begin;
	struct vigie_record_walk walk;
	struct vigie_record record;
	struct scope scope; /* some 50 KiB, of which what is used is written */
	bool left_out = false;

	vigie_record_walk_message(&begin, reply, length);
	scope.chain.at[0] = answer->query->name;
	scope.chain.count = 1;
	scope.hosts.count = 0;
	follow(&scope.chain, &begin);
	walk = begin;
	while (next_record(&scope, &walk, &record, &left_out)) {
	}
	if (!left_out)
		return false;
	vigie_answer_reset(answer);
	answer->rcode = rcode;
	answer->flags = vigie_reply_flags(reply) & flags;
	scope.hosts.count = 0;
	walk = begin;
	while (next_record(&scope, &walk, &record, &left_out))
		record_writer_copy(&writer, &walk, &record);
	vigie_answer_level_ttls(answer);
	return true;
}

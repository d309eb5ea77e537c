#include "static_zone.h"

#include <string.h>
#include <urcu-qsbr.h>

struct static_zone *static_zone_find(struct static_zone *zones, size_t count, const struct vigie_name *name)
{
	struct static_zone *longest = NULL;

	for (size_t i = 0; i < count; i++) {
		if (vigie_name_is_below(name, &zones[i].origin) &&
		    (!longest || zones[i].origin.labels > longest->origin.labels))
			longest = &zones[i];
	}
	return longest;
}

/* The CNAMEs are written; what their end is comes from whoever serves it (RFC 6604 for the rcode). */
static enum vigie_verdict chased(struct vigie_request *request, const uint8_t *reply, size_t length,
				 void *argument)
{
	uint16_t rcode;

	if (!reply)
		return VIGIE_ANSWERED;
	rcode = vigie_reply_rcode(reply);
	vigie_answer_append(request->answer, reply, length);
	if (rcode == VIGIE_RCODE_NXDOMAIN || rcode == VIGIE_RCODE_SERVFAIL)
		request->answer->rcode = rcode;
	return VIGIE_ANSWERED;
}

static enum vigie_verdict fail(struct vigie_request *request, enum vigie_ede code, const char *why)
{
	vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, why);
	vigie_answer_explain(request->answer, code, why);
	return VIGIE_ANSWERED;
}

enum vigie_verdict static_zone_answer(const struct vigie_zone *zone, const struct fallthrough *fall,
				      struct vigie_request *request)
{
	const struct vigie_query *query = request->query;
	struct vigie_name target;

	if (query->class != VIGIE_CLASS_IN || query->type == VIGIE_TYPE_AXFR ||
	    query->type == VIGIE_TYPE_IXFR)
		return vigie_request_refuse_kind(request);
	if (!zone)
		return fail(request, VIGIE_EDE_NOT_READY, "the zone is not loaded");
	switch (vigie_zone_answer(zone, query, request->answer, &target)) {
	case VIGIE_ZONE_ANSWERED:
		return VIGIE_ANSWERED;
	case VIGIE_ZONE_NXDOMAIN:
		if (!fall || !fallthrough_holds(fall, &query->name))
			return VIGIE_ANSWERED;
		vigie_answer_reset(request->answer);
		return VIGIE_NEXT;
	case VIGIE_ZONE_CHASE:
		return vigie_request_lookup(request, &target, query->type, chased, NULL);
	}
	return VIGIE_NEXT;
}

enum vigie_verdict static_zone_serve(const struct static_zone *zone, const struct fallthrough *fall,
				     struct vigie_request *request)
{
	const struct vigie_zone *data = __atomic_load_n(&zone->zone, __ATOMIC_ACQUIRE);

	if (data && __atomic_load_n(&zone->expired, __ATOMIC_RELAXED))
		return fail(request, VIGIE_EDE_NO_REACHABLE_AUTHORITY, "the zone has expired");
	return static_zone_answer(data, fall, request);
}

void static_zone_publish(struct static_zone *zone, struct vigie_zone *next)
{
	struct vigie_zone *old = __atomic_exchange_n(&zone->zone, next, __ATOMIC_ACQ_REL);

	if (!old)
		return;
	synchronize_rcu();
	vigie_zone_unref(old);
}

enum vigie_status static_zone_snapshot(const struct static_zone *zones, size_t count,
				       const struct vigie_name *origin, struct vigie_zone **snapshot)
{
	for (size_t i = 0; i < count; i++) {
		struct vigie_zone *zone;

		if (!vigie_name_equal(zones[i].origin.bytes, origin->bytes))
			continue;
		zone = __atomic_load_n(&zones[i].zone, __ATOMIC_ACQUIRE);
		if (!zone || __atomic_load_n(&zones[i].expired, __ATOMIC_RELAXED))
			return VIGIE_ETIMEOUT;
		*snapshot = vigie_zone_ref(zone);
		return VIGIE_OK;
	}
	return VIGIE_ENOENT;
}

enum vigie_status static_zone_origins(struct zones *origins, struct vigie_block *block,
				      const struct vigie_statement *statement, size_t first,
				      struct vigie_error *error)
{
	size_t count = statement->arg_count > first ? statement->arg_count - first : 0;
	enum vigie_status status =
		zones_from_words_or_keys(origins, block, statement->args + first, count, error);
	size_t kept = 0;

	/* One zone may be the key of several ports. */
	for (size_t i = 0; i < origins->count && !status; i++) {
		bool known = false;

		for (size_t j = 0; j < kept && !known; j++)
			known = vigie_name_equal(origins->names[j].bytes, origins->names[i].bytes);
		if (!known)
			origins->names[kept++] = origins->names[i];
	}
	origins->count = kept;
	return status;
}

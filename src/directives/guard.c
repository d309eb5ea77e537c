#include "guard.h"

#include <string.h>

#include "special_use.h"
#include "vigie/bytes.h"

enum {
	CLUSTER_TTL = 5,   /* seconds: a name that is missing now may be a service soon */
	REVERSE_LABELS = 2 /* in-addr.arpa, ip6.arpa */
};

/* One zone of a `kubernetes` directive. */
struct guarded {
	struct vigie_name zone;
	const struct vigie_block *block;
	struct guarded *next;
};

enum vigie_status guard_add_cluster(struct vigie_block *block, const struct vigie_name *zones, size_t count,
				    struct vigie_error *error)
{
	for (size_t i = 0; i < count; i++) {
		struct guarded *guarded;

		if (vigie_name_is_reverse(&zones[i]) && zones[i].labels <= REVERSE_LABELS)
			continue;
		guarded = vigie_arena_alloc(block->arena, sizeof(*guarded));
		if (!guarded)
			return vigie_error_memory(error);
		*guarded =
			(struct guarded){.zone = zones[i], .block = block, .next = block->process->guarded};
		block->process->guarded = guarded;
	}
	return VIGIE_OK;
}

/* The longest of the clusters' zones that the name is in. */
static const struct guarded *find(const struct vigie_process *process, const struct vigie_name *name)
{
	const struct guarded *longest = NULL;

	for (const struct guarded *guarded = process->guarded; guarded; guarded = guarded->next) {
		if (vigie_name_is_below(name, &guarded->zone) &&
		    (!longest || guarded->zone.labels > longest->zone.labels))
			longest = guarded;
	}
	return longest;
}

bool guard_is_cluster_name(const struct vigie_process *process, const struct vigie_name *name)
{
	static const uint8_t cluster_local[] = "\7cluster\5local";
	const struct guarded *guarded = find(process, name);

	if (guarded)
		return !vigie_name_is_reverse(&guarded->zone);
	return name->labels >= 2 && memcmp(name->bytes + name->offset[name->labels - 2], cluster_local,
					   sizeof(cluster_local)) == 0;
}

/* How many labels the longest zone has that the configuration gives to these upstreams: of the statement, and
 * of the server block. */
static unsigned meant_for(const struct vigie_block *block, const struct vigie_name *from, size_t from_count,
			  const struct vigie_name *name)
{
	const struct vigie_server_block *source = block->source;
	unsigned labels = 0;

	for (size_t i = 0; i < from_count; i++) {
		if (from[i].labels > labels && vigie_name_is_below(name, &from[i]))
			labels = from[i].labels;
	}
	for (size_t i = 0; i < source->key_count; i++) {
		if (source->keys[i].zone.labels > labels && vigie_name_is_below(name, &source->keys[i].zone))
			labels = source->keys[i].zone.labels;
	}
	return labels;
}

/* NXDOMAIN with a SOA as of the kubernetes directive, so that clients that search go on searching. */
static void deny(struct vigie_request *request, const struct vigie_name *zone)
{
	static const uint8_t server[] = "\2ns\3dns";
	static const uint8_t mailbox[] = "\12hostmaster";
	static const uint32_t numbers[] = {1, 7200, 1800, 86400, CLUSTER_TTL};
	const struct vigie_name *name = &request->query->name;
	uint16_t owner = (uint16_t)(VIGIE_OWNER_QUESTION + name->length - zone->length);
	uint16_t rdlength =
		(uint16_t)(sizeof(server) - 1 + zone->length + sizeof(mailbox) - 1 + zone->length + 20);
	uint8_t *at;

	request->answer->rcode = VIGIE_RCODE_NXDOMAIN;
	at = vigie_answer_rr(request->answer, VIGIE_AUTHORITY, owner, VIGIE_TYPE_SOA, CLUSTER_TTL, rdlength);
	if (!at)
		return;
	memcpy(at, server, sizeof(server) - 1);
	at += sizeof(server) - 1;
	memcpy(at, zone->bytes, zone->length);
	at += zone->length;
	memcpy(at, mailbox, sizeof(mailbox) - 1);
	at += sizeof(mailbox) - 1;
	memcpy(at, zone->bytes, zone->length);
	at += zone->length;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		at = write_u32(at, numbers[i]);
}

enum vigie_status guard_prepare(struct vigie_error *error)
{
	return special_use_zones(error) ? VIGIE_OK : VIGIE_EINVAL;
}

bool guard_holds(const struct vigie_block *block, const struct vigie_name *from, size_t from_count,
		 struct vigie_request *request)
{
	static const struct fallthrough none;
	const struct vigie_name *name = &request->query->name;
	const struct guarded *guarded = find(block->process, name);
	const struct special_zones *special = special_use_zones(NULL);
	const struct static_zone *zone =
		special ? static_zone_find(special->list, special->count, name) : NULL;
	unsigned labels;

	if (!guarded && !zone)
		return false;
	labels = meant_for(block, from, from_count, name);
	if (guarded && labels < guarded->zone.labels) {
		if (guarded->block == block) {
			deny(request, &guarded->zone);
			vigie_answer_explain(request->answer, VIGIE_EDE_OTHER,
					     "a name of the cluster is not asked of this upstream");
		} else {
			/* Another block knows whether it exists; this one is not to say so. */
			vigie_request_fail(request, VIGIE_RCODE_REFUSED,
					   "a name of the cluster, asked where the cluster is not served");
			vigie_answer_explain(request->answer, VIGIE_EDE_NOT_AUTHORITATIVE, request->trouble);
		}
		return true;
	}
	if (zone && labels < zone->origin.labels) {
		static_zone_serve(zone, &none, request);
		if (request->answer->rcode != VIGIE_RCODE_NOERROR)
			vigie_answer_explain(request->answer, VIGIE_EDE_OTHER,
					     "a special-use name is not asked of an upstream");
		return true;
	}
	return false;
}

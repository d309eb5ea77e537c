#include "zone.h"

#include <stdlib.h>
#include <string.h>

#include "vigie/bytes.h"

struct vigie_zone *vigie_zone_ref(struct vigie_zone *zone)
{
	__atomic_fetch_add(&zone->references, 1, __ATOMIC_RELAXED);
	return zone;
}

void vigie_zone_unref(struct vigie_zone *zone)
{
	if (!zone || __atomic_sub_fetch(&zone->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	free(zone->nodes);
	free(zone->sets);
	free(zone->pool);
	free(zone);
}

const struct vigie_name *vigie_zone_origin(const struct vigie_zone *zone)
{
	return &zone->origin;
}

enum vigie_status vigie_soa_from_rdata(struct vigie_soa *soa, const uint8_t *rdata, size_t length)
{
	enum { NUMBERS = 5 * 4 };

	if (length < 2 + NUMBERS)
		return VIGIE_EINVAL;
	rdata += length - NUMBERS;
	soa->serial = read_u32(rdata);
	soa->refresh = read_u32(rdata + 4);
	soa->retry = read_u32(rdata + 8);
	soa->expire = read_u32(rdata + 12);
	soa->minimum = read_u32(rdata + 16);
	return VIGIE_OK;
}

void vigie_zone_soa(const struct vigie_zone *zone, struct vigie_soa *soa)
{
	const struct set *set = zone_get_set(zone, NODE_APEX, VIGIE_TYPE_SOA);
	const uint8_t *record = zone->pool + set->data;

	vigie_soa_from_rdata(soa, record + 2, pool_length(record));
}

const struct set *zone_get_set(const struct vigie_zone *zone, uint32_t node, uint16_t type)
{
	const struct set *set = zone->sets + zone->nodes[node].sets;

	for (const struct set *end = set + zone->nodes[node].set_count; set < end; set++) {
		if (set->type == type)
			return set->count > 0 ? set : NULL;
	}
	return NULL;
}

uint32_t zone_find(const struct vigie_zone *zone, const uint8_t *key, size_t length, bool *exact)
{
	uint32_t low = 0; /* the apex' key is empty: never behind another */
	uint32_t high = zone->node_count;
	const struct node *node;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		node = &zone->nodes[middle];
		if (key_compare(zone->pool + node->key, node->key_length, key, length) <= 0)
			low = middle;
		else
			high = middle;
	}
	node = &zone->nodes[low];
	*exact = node->key_length == length && memcmp(zone->pool + node->key, key, length) == 0;
	return low;
}

uint32_t zone_find_name(const struct vigie_zone *zone, const struct vigie_name *name)
{
	uint8_t key[KEY_MAX];
	uint32_t node;
	bool exact;

	if (!vigie_name_is_below(name, &zone->origin))
		return NODE_NONE;
	node = zone_find(zone, key, key_make(name, zone->origin.labels, key), &exact);
	return exact ? node : NODE_NONE;
}

bool vigie_zone_next(const struct vigie_zone *zone, struct vigie_zone_walk *walk,
		     struct vigie_zone_record *record)
{
	for (; walk->node < zone->node_count; walk->node++, walk->set = 0) {
		const struct node *node = &zone->nodes[walk->node];

		for (; walk->set < node->set_count; walk->set++, walk->record = 0) {
			const struct set *set = &zone->sets[node->sets + walk->set];
			bool sig = walk->record >= set->count;
			const uint8_t *bytes;

			if (walk->record == (uint32_t)set->count + set->sig_count)
				continue;
			if (walk->record == 0)
				walk->offset = set->data;
			bytes = zone->pool + walk->offset;
			*record = (struct vigie_zone_record){
				.owner = zone->pool + node->name,
				.rdata = bytes + 2,
				.ttl = sig ? set->sig_ttl : set->ttl,
				.type = sig ? VIGIE_TYPE_RRSIG : set->type,
				.rdlength = pool_length(bytes),
			};
			walk->record++;
			walk->offset += 2U + record->rdlength;
			return true;
		}
	}
	return false;
}

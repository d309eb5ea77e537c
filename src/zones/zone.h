/* The compiled zone: nodes in canonical order, found by binary search; empty non-terminals are nodes, too. */
#ifndef VIGIE_ZONES_ZONE_H
#define VIGIE_ZONES_ZONE_H

#include "key.h"
#include "vigie/zone.h"

enum { TYPE_DS = 43, TYPE_NSEC3PARAM = 51, RCODE_YXDOMAIN = 6 };

enum { NODE_NONE = UINT32_MAX, NODE_APEX = 0 };

/* The records of one type at a node, and the signatures over them. Each record is two bytes of length in host
 * order and its RDATA; signatures follow the records. */
struct set {
	uint32_t data; /* offset in the pool */
	uint32_t sig_data;
	uint32_t ttl; /* of the whole set: the lowest of its records (RFC 2181 section 5.2) */
	uint32_t sig_ttl;
	uint16_t type;
	uint16_t count;
	uint16_t sig_count;
};

struct node {
	uint32_t key; /* offsets in the pool */
	uint32_t name;
	uint32_t sets; /* index of the first set */
	uint32_t parent;
	uint32_t wildcard; /* the child `*`, or NODE_NONE */
	uint32_t cut;      /* the highest node at or above that takes names out of the zone's own data: a
			    * delegation, or a DNAME above; NODE_NONE */
	uint32_t nsec;     /* the last node at or before this one that has an NSEC record; the apex if none */
	uint16_t key_length;
	uint16_t set_count;
	uint8_t depth; /* labels below the origin */
};

struct vigie_zone {
	unsigned references; /* atomic */
	struct vigie_name origin;
	struct node *nodes;
	uint32_t node_count;
	struct set *sets;
	uint32_t set_count;
	uint8_t *pool;
};

/* The set of a type at a node; NULL when there is none, or signatures alone. */
const struct set *zone_get_set(const struct vigie_zone *zone, uint32_t node, uint16_t type);

/* The last node whose key is not behind this one: the node itself when `*exact`. */
uint32_t zone_find(const struct vigie_zone *zone, const uint8_t *key, size_t length, bool *exact);

/* The node of a name; NODE_NONE when there is none, or it is outside. */
uint32_t zone_find_name(const struct vigie_zone *zone, const struct vigie_name *name);

static inline uint16_t pool_length(const uint8_t *record)
{
	return (uint16_t)(record[0] | record[1] << 8);
}

#endif

/* An authoritative zone: compiled once from records, immutable, answered from by many threads at once. Where
 * the records come from (a master file, a transfer, the cluster's records) makes no difference.
 *
 *     builder = vigie_zone_builder_new(&origin);
 *     vigie_zone_builder_add(builder, owner, VIGIE_TYPE_A, 300, address, 4);    // for each record
 *     zone = vigie_zone_builder_finish(builder, &error);                        // frees the builder
 *     vigie_zone_answer(zone, query, answer, &target);
 *     vigie_zone_unref(zone);
 *
 * Sources: RFC 1034 section 4.3.2 (the algorithm), RFC 4592 (wildcards), RFC 6672 (DNAME), RFC 4035 section 3
 * (signatures and NSEC; there is no NSEC3). */
#ifndef VIGIE_ZONE_H
#define VIGIE_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/answer.h"
#include "vigie/name.h"
#include "vigie/query.h"
#include "vigie/status.h"

struct vigie_zone;
struct vigie_zone_builder;

enum {
	VIGIE_ZONE_BYTES_MAX = 1 << 30,      /* of a zone's names and RDATA together */
	VIGIE_ZONE_FILE_MAX = 512 << 20,     /* bytes of a master file with all that it includes */
	VIGIE_ZONE_INCLUDES_MAX = 8,         /* $INCLUDE within $INCLUDE */
	VIGIE_ZONE_RDATA_MAX = 65535 - 1024, /* a longer one would never fit into an answer */
	VIGIE_ZONE_CHAIN_MAX = 10            /* CNAMEs and DNAMEs followed within a zone */
};

/* NULL when memory is out. */
struct vigie_zone_builder *vigie_zone_builder_new(const struct vigie_name *origin);
void vigie_zone_builder_free(struct vigie_zone_builder *builder);

/* Adds a record of class IN. `owner` is an uncompressed wire name, `rdata` holds uncompressed names; both are
 * copied. A record that is there already counts once. VIGIE_ENOENT: the owner is not in the zone;
 * VIGIE_EINVAL: the RDATA is too long or too short for its type, or the type belongs to no zone (OPT, ANY…);
 * VIGIE_ENOSPC: VIGIE_ZONE_BYTES_MAX; VIGIE_ENOMEM. */
enum vigie_status vigie_zone_builder_add(struct vigie_zone_builder *builder, const uint8_t *owner,
					 uint16_t type, uint32_t ttl, const uint8_t *rdata, size_t rdlength);

/* Compiles the zone, with one reference, and frees the builder, also when it fails: NULL, `error` set. A zone
 * has exactly one SOA record, at its origin. */
struct vigie_zone *vigie_zone_builder_finish(struct vigie_zone_builder *builder, struct vigie_error *error);

/* Reads a master file (RFC 1035 section 5 with $TTL and $INCLUDE). Relative $INCLUDEs are relative to the
 * file. VIGIE_EINVAL: "FILE:LINE: sentence"; VIGIE_EIO: it cannot be read. With `serial`, a file whose SOA
 * has that serial gives VIGIE_EEXIST as soon as the SOA is read. */
enum vigie_status vigie_zone_read(struct vigie_zone **zone, const char *path, const struct vigie_name *origin,
				  const uint32_t *serial, struct vigie_error *error);

/* References keep a zone alive where RCU does not: a transfer that goes on for minutes, a writer. */
struct vigie_zone *vigie_zone_ref(struct vigie_zone *zone);
void vigie_zone_unref(struct vigie_zone *zone);

const struct vigie_name *vigie_zone_origin(const struct vigie_zone *zone);

/* The SOA's numbers, host byte order, seconds (RFC 1035 section 3.3.13). */
struct vigie_soa {
	uint32_t serial;
	uint32_t refresh;
	uint32_t retry;
	uint32_t expire;
	uint32_t minimum;
};
void vigie_zone_soa(const struct vigie_zone *zone, struct vigie_soa *soa);

/* Reads the numbers of a SOA's RDATA with uncompressed names. VIGIE_EINVAL when it is too short. */
enum vigie_status vigie_soa_from_rdata(struct vigie_soa *soa, const uint8_t *rdata, size_t length);

enum vigie_zone_result {
	VIGIE_ZONE_ANSWERED, /* the answer is whole: records, a referral, or NODATA with the SOA */
	VIGIE_ZONE_NXDOMAIN, /* the name itself does not exist: NXDOMAIN with the SOA; the caller may fall
			      * through instead */
	VIGIE_ZONE_CHASE     /* the answer holds the CNAMEs so far; their end is outside of the zone */
};

/* Answers a query of class IN for the origin or a name below it. For VIGIE_ZONE_CHASE the last target is
 * copied to `target` (folded). */
enum vigie_zone_result vigie_zone_answer(const struct vigie_zone *zone, const struct vigie_query *query,
					 struct vigie_answer *answer, struct vigie_name *target);

/* One record of a walk; borrowed from the zone. */
struct vigie_zone_record {
	const uint8_t *owner; /* wire name, folded */
	const uint8_t *rdata;
	uint32_t ttl;
	uint16_t type;
	uint16_t rdlength;
};

/* Where a walk stands; all zero at the beginning. */
struct vigie_zone_walk {
	uint32_t node;
	uint32_t set;
	uint32_t record; /* of the set, then of its signatures */
	uint32_t offset; /* of that record's bytes */
};

/* The next record of a zone in DNSSEC's canonical order of names, the SOA first; false behind the last. */
bool vigie_zone_next(const struct vigie_zone *zone, struct vigie_zone_walk *walk,
		     struct vigie_zone_record *record);

#endif

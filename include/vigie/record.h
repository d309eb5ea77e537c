/* Going through the records of a message, one after another. */
#ifndef VIGIE_RECORD_H
#define VIGIE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/answer.h"

struct vigie_record {
	enum vigie_section section;
	size_t owner; /* offsets in the message: the owner's name, which may be compressed */
	size_t fixed; /* type, class, TTL and RDLENGTH, 10 bytes */
	size_t rdata;
	size_t end;
	uint32_t ttl; /* seconds; host byte order, as all below */
	uint16_t type;
	uint16_t class;
	uint16_t rdlength;
};

struct vigie_record_walk {
	const uint8_t *message; /* borrowed, as are its records: it must not change meanwhile but in place */
	size_t length;
	size_t at;
	unsigned left[VIGIE_SECTIONS];
};

/* All records of a whole message with at most one question; an OPT is one of the additional records. Does
 * nothing but begin: what is malformed ends the walk early. */
void vigie_record_walk_message(struct vigie_record_walk *walk, const uint8_t *message, size_t length);

/* The records of an answer that is not ended yet. */
void vigie_record_walk_answer(struct vigie_record_walk *walk, const struct vigie_answer *answer);

/* The next record. False at the end, and at a malformed record: then `walk->left` is not all zero. */
bool vigie_record_next(struct vigie_record_walk *walk, struct vigie_record *record);

/* The name at offset `at`, decompressed and folded. False when it is malformed. */
bool vigie_record_name(const struct vigie_record_walk *walk, size_t at, struct vigie_name *name);

enum {
	VIGIE_RDATA_SCRATCH = 6 + 2 * VIGIE_NAME_MAX + 20 /* bytes of the longest RDATA with names that may be
							     compressed: SOA's, or SRV's */
};

/* A record's RDATA with the names that may be compressed in it spelled out (RFC 3597 section 4): `*rdata` is
 * `scratch`, of VIGIE_RDATA_SCRATCH bytes, or in the message itself. Returns its length; SIZE_MAX when it is
 * malformed. */
size_t vigie_record_rdata(const struct vigie_record_walk *walk, const struct vigie_record *record,
			  uint8_t *scratch, const uint8_t **rdata);

/* The options of a query's OPT record, one behind another as they stand there; 0 bytes without EDNS. Returns
 * how many bytes they are. */
size_t vigie_query_options(const struct vigie_query *query, const uint8_t **options);

#endif

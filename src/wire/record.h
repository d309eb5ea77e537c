/* Records as they stand in a message, and names that may be compressed there (RFC 1035 section 4.1.4). */
#ifndef VIGIE_WIRE_RECORD_H
#define VIGIE_WIRE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/name.h"

enum {
	RECORD_FIXED = 10 /* bytes of type, class, TTL and RDLENGTH */
};

struct record {
	size_t owner; /* offsets in the message */
	size_t fixed; /* where the type stands, behind the owner */
	size_t rdata;
	size_t end;
	uint32_t ttl;
	uint16_t type;
	uint16_t class;
	uint16_t rdlength;
};

/* The offset behind the name at `at`, compressed or not; 0 when it is malformed or runs out of the message.
 */
size_t record_skip_name(const uint8_t *message, size_t length, size_t at);

/* Reads the record at `at`. False when it is malformed or runs out of the message. */
bool record_read(struct record *record, const uint8_t *message, size_t length, size_t at);

/* Copies the name at `at`, decompressed, to `name` (VIGIE_NAME_MAX bytes) and returns its length; 0 when it
 * is malformed, too long, holds a pointer that doesn't point backwards, or more of them than a name has
 * labels. `next` (may be NULL) gets the offset behind it; the part before the first pointer must end at or
 * before `end`. */
size_t record_copy_name(const uint8_t *message, size_t length, size_t at, size_t end, uint8_t *name,
			size_t *next);

/* The RDATA with the names that may be compressed spelled out (RFC 3597 section 4): `*rdata` is `scratch`
 * (VIGIE_RDATA_SCRATCH bytes) or the message itself. Returns its length; SIZE_MAX when malformed. */
size_t record_expand_rdata(const uint8_t *message, size_t length, const struct record *record,
			   uint8_t *scratch, const uint8_t **rdata);

#endif

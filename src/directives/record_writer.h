/* Records of a reply written to another answer: names are spelled out, owners compressed again. */
#ifndef VIGIE_DIRECTIVES_RECORD_WRITER_H
#define VIGIE_DIRECTIVES_RECORD_WRITER_H

#include "vigie/answer.h"
#include "vigie/record.h"

struct record_writer {
	struct vigie_answer *answer;
	struct vigie_name owner; /* the last one that was written, and where it stands */
	uint16_t owner_offset;   /* 0: there is none */
};

/* Adds a record like `record`, with this owner and TTL, and returns where its `rdlength` bytes go; NULL when
 * it does not fit. */
uint8_t *record_writer_add(struct record_writer *writer, const struct vigie_record *record,
			   const struct vigie_name *owner, uint32_t ttl, size_t rdlength);

/* Adds the record as it is. False when it is malformed. */
bool record_writer_copy(struct record_writer *writer, const struct vigie_record_walk *walk,
			const struct vigie_record *record);

/* Where the name begins that a record leads to, such as MX's host, among its spelled out RDATA; SIZE_MAX when
 * the type has none. It may be beyond `length` of what is malformed. */
size_t record_target(uint16_t type, const uint8_t *rdata, size_t length);

#endif

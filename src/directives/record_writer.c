#include "record_writer.h"

#include <string.h>

uint8_t *record_writer_add(struct record_writer *writer, const struct vigie_record *record,
			   const struct vigie_name *owner, uint32_t ttl, size_t rdlength)
{
	struct vigie_answer *answer = writer->answer;
	uint16_t offset = vigie_answer_offset(answer, answer->buffer + answer->length);
	uint16_t length = (uint16_t)rdlength;
	uint8_t *rdata;

	if (rdlength > UINT16_MAX)
		return NULL;
	if (vigie_name_equal(owner->bytes, answer->query->name.bytes)) {
		rdata = vigie_answer_rr(answer, record->section, VIGIE_OWNER_QUESTION, record->type, ttl,
					length);
	} else if (writer->owner_offset > 0 && vigie_name_equal(owner->bytes, writer->owner.bytes)) {
		rdata = vigie_answer_rr(answer, record->section, writer->owner_offset, record->type, ttl,
					length);
	} else {
		rdata = vigie_answer_rr_named(answer, record->section, owner->bytes, record->type, ttl,
					      length);
		writer->owner = *owner;
		writer->owner_offset = rdata ? offset : 0;
	}
	if (rdata)
		vigie_answer_set_class(rdata, record->class);
	return rdata;
}

bool record_writer_copy(struct record_writer *writer, const struct vigie_record_walk *walk,
			const struct vigie_record *record)
{
	uint8_t scratch[VIGIE_RDATA_SCRATCH];
	struct vigie_name owner;
	const uint8_t *rdata;
	size_t length = vigie_record_rdata(walk, record, scratch, &rdata);
	uint8_t *to;

	if (length == SIZE_MAX || !vigie_record_name(walk, record->owner, &owner))
		return false;
	to = record_writer_add(writer, record, &owner, record->ttl, length);
	if (to)
		memcpy(to, rdata, length);
	return true;
}

size_t record_target(uint16_t type, const uint8_t *rdata, size_t length)
{
	size_t at = 4;

	switch (type) {
	case VIGIE_TYPE_CNAME:
	case VIGIE_TYPE_NS:
	case VIGIE_TYPE_PTR:
	case VIGIE_TYPE_SOA: /* the primary server */
	case VIGIE_TYPE_DNAME:
		return 0;
	case VIGIE_TYPE_MX:
		return 2;
	case VIGIE_TYPE_SRV:
		return 6;
	case VIGIE_TYPE_NAPTR:
		/* Three character-strings stand before it. */
		for (int i = 0; i < 3 && at < length; i++)
			at += 1U + rdata[at];
		return at;
	default:
		return SIZE_MAX;
	}
}

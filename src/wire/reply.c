/* Another server's reply: taken whole, or its answer section appended. */
#include <string.h>

#include "bytes.h"
#include "record.h"
#include "vigie/answer.h"
#include "vigie/record.h"

/* Takes one record as it stands. The question is as long as ours, so offsets, and with them compression
 * pointers, stay valid as long as nothing was left out before. */
static bool take_record(struct vigie_answer *answer, enum vigie_section section, const uint8_t *reply,
			const struct record *record)
{
	if (record->end > answer->limit) {
		if (section != VIGIE_ADDITIONAL)
			answer->flags |= VIGIE_FLAG_TC;
		return false;
	}
	memcpy(answer->buffer + record->owner, reply + record->owner, record->end - record->owner);
	answer->count[section]++;
	answer->length = record->end;
	return true;
}

/* Whether both are records of one set. Signatures are none: each has the TTL of what it signs (RFC 4034
 * section 3). */
static bool same_set(const struct vigie_record_walk *walk, const struct vigie_record *a,
		     const struct vigie_record *b)
{
	struct vigie_name owners[2];

	return a->section == b->section && a->type == b->type && a->class == b->class &&
	       a->type != VIGIE_TYPE_RRSIG && vigie_record_name(walk, a->owner, &owners[0]) &&
	       vigie_record_name(walk, b->owner, &owners[1]) && owners[0].length == owners[1].length &&
	       memcmp(owners[0].bytes, owners[1].bytes, owners[0].length) == 0;
}

/* Gives the next `count` records one TTL. */
static void write_ttls(struct vigie_answer *answer, struct vigie_record_walk walk, unsigned count,
		       uint32_t ttl)
{
	struct vigie_record record;

	for (; count > 0 && vigie_record_next(&walk, &record); count--)
		write_u32(answer->buffer + record.fixed + 4, ttl);
}

void vigie_answer_level_ttls(struct vigie_answer *answer)
{
	struct vigie_record_walk walk;
	struct vigie_record_walk begin; /* of the set that `last` belongs to */
	struct vigie_record last;
	unsigned count = 0;
	uint32_t least = 0;
	bool more = true;

	vigie_record_walk_answer(&walk, answer);
	while (more) {
		struct vigie_record_walk before = walk;
		struct vigie_record record;

		more = vigie_record_next(&walk, &record);
		if (count > 0 && !(more && same_set(&walk, &last, &record))) {
			write_ttls(answer, begin, count, least);
			count = 0;
		}
		if (count++ == 0) {
			begin = before;
			least = UINT32_MAX;
		}
		last = record;
		least = more && record.ttl < least ? record.ttl : least;
	}
}

enum vigie_status vigie_answer_take(struct vigie_answer *answer, const uint8_t *reply, size_t length)
{
	uint16_t flags = read_u16(reply + 2);
	size_t at = VIGIE_HEADER_SIZE + vigie_query_question_length(answer->query);
	struct record last = {0};
	bool uneven = false;
	bool takes = true;

	vigie_answer_reset(answer);
	answer->rcode = flags & 0x0f;
	answer->flags = flags & (VIGIE_FLAG_AA | VIGIE_FLAG_TC | VIGIE_FLAG_RA | VIGIE_FLAG_AD);
	for (int section = 0; section < VIGIE_SECTIONS; section++) {
		unsigned count = read_u16(reply + 6 + 2 * section);

		for (unsigned i = 0; i < count; i++) {
			struct record record;

			if (!record_read(&record, reply, length, at) ||
			    (record.type == VIGIE_TYPE_OPT && section != VIGIE_ADDITIONAL)) {
				vigie_answer_reset(answer);
				return VIGIE_EINVAL;
			}
			if (record.type == VIGIE_TYPE_OPT) {
				/* Ours is written at the end. What stands behind theirs could only follow
				 * with other offsets; it is additional, so it may be left out. */
				answer->rcode = (uint16_t)(record.ttl >> 24 << 4 | (flags & 0x0f));
				takes = false;
			}
			takes = takes && take_record(answer, (enum vigie_section)section, reply, &record);
			uneven = uneven || (record.type == last.type && record.ttl != last.ttl);
			last = record;
			at = record.end;
		}
	}
	if (uneven)
		vigie_answer_level_ttls(answer);
	return VIGIE_OK;
}

enum vigie_status vigie_answer_append(struct vigie_answer *answer, const uint8_t *reply, size_t length)
{
	size_t at = record_skip_name(reply, length, VIGIE_HEADER_SIZE);
	unsigned count;

	if (at == 0 || length - at < 4 || read_u16(reply + 4) != 1)
		return VIGIE_EINVAL;
	at += 4;
	count = read_u16(reply + 6);
	answer->flags |= vigie_reply_flags(reply) & VIGIE_FLAG_TC;
	for (unsigned i = 0; i < count; i++) {
		uint8_t owner[VIGIE_NAME_MAX];
		uint8_t scratch[VIGIE_RDATA_SCRATCH];
		const uint8_t *rdata;
		struct record record;
		size_t rdlength;
		uint8_t *to;

		if (!record_read(&record, reply, length, at) || record.class != VIGIE_CLASS_IN ||
		    record.type == VIGIE_TYPE_OPT ||
		    record_copy_name(reply, length, record.owner, record.fixed, owner, NULL) == 0)
			return VIGIE_EINVAL;
		rdlength = record_expand_rdata(reply, length, &record, scratch, &rdata);
		if (rdlength > UINT16_MAX)
			return VIGIE_EINVAL;
		to = vigie_answer_rr_named(answer, VIGIE_ANSWER, owner, record.type, record.ttl,
					   (uint16_t)rdlength);
		if (!to)
			return VIGIE_OK;
		memcpy(to, rdata, rdlength);
		at = record.end;
	}
	return VIGIE_OK;
}

/* Entries as answers. */
#include <endian.h>
#include <string.h>

#include "store.h"

enum vigie_cached_kind vigie_cached_kind(const struct vigie_cached *cached)
{
	return (enum vigie_cached_kind)cached->kind;
}

const struct vigie_cache_part *vigie_cached_part(const struct vigie_cached *cached)
{
	return cached->part;
}

const uint8_t *vigie_cached_owner(const struct vigie_cached *cached, size_t *length)
{
	*length = cached->name_length;
	return vigie_cached_name(cached);
}

unsigned vigie_cached_records_count(const struct vigie_cached *cached)
{
	return (unsigned)cached->count[0] + cached->count[1] + cached->count[2];
}

uint64_t vigie_cached_age_ms(const struct vigie_cached *cached, uint64_t now_ms)
{
	int64_t age = (int64_t)(now_ms - cached->stored_ms);

	return age > 0 ? (uint64_t)age : 0;
}

size_t vigie_cached_question(const struct vigie_cached *cached, uint8_t *packet, size_t size)
{
	unsigned flags = ((cached->options & OPTION_CD) ? VIGIE_FLAG_CD : 0) |
			 ((cached->options & OPTION_NO_RD) ? 0 : VIGIE_FLAG_RD);
	bool edns_do = (cached->options & OPTION_DO) != 0;

	return vigie_query_write(packet, size, 0, (uint16_t)flags, vigie_cached_name(cached), cached->type,
				 cached->class, edns_do, edns_do);
}

uint32_t vigie_cached_lifetime(const struct vigie_cached *cached)
{
	return cached->lifetime;
}

uint16_t vigie_cached_rcode(const struct vigie_cached *cached)
{
	return cached->rcode;
}

const char *vigie_cached_why(const struct vigie_cached *cached)
{
	return cached->kind == VIGIE_CACHED_FAILURE
		       ? (const char *)vigie_cached_name(cached) + cached->name_length
		       : "";
}

static uint16_t ttl_offset(const struct vigie_cached *cached, unsigned record)
{
	uint16_t offset;

	memcpy(&offset, cached->bytes + 2U * record, sizeof(offset));
	return offset;
}

/* Leaves out the records that do not fit into `room` bytes, from the end. Returns the bytes of those that do.
 */
static size_t cut(const struct vigie_cached *cached, struct vigie_answer *answer, size_t room)
{
	const uint8_t *records = vigie_cached_records(cached);
	size_t length = 0;
	unsigned record = 0;

	for (int section = 0; section < VIGIE_SECTIONS; section++) {
		for (unsigned i = 0; i < cached->count[section]; i++, record++) {
			/* TTL, RDLENGTH, RDATA */
			size_t rdlength_at = (size_t)ttl_offset(cached, record) + 4;
			size_t end = rdlength_at + 2 +
				     (size_t)(records[rdlength_at] << 8 | records[rdlength_at + 1]);

			if (end > room) {
				if (section != VIGIE_ADDITIONAL)
					answer->flags |= VIGIE_FLAG_TC;
				return length;
			}
			length = end;
			answer->count[section]++;
		}
	}
	return length;
}

void vigie_cached_write(const struct vigie_cached *cached, struct vigie_answer *answer, uint32_t age,
			uint32_t least, uint32_t most)
{
	size_t room;
	size_t length = cached->length;
	uint8_t *at;
	unsigned records;

	vigie_answer_reset(answer);
	answer->rcode = cached->rcode;
	answer->flags = cached->flags;
	at = answer->buffer + answer->length;
	room = answer->limit - answer->length;
	if (length <= room)
		memcpy(answer->count, cached->count, sizeof(answer->count));
	else
		length = cut(cached, answer, room);
	memcpy(at, vigie_cached_records(cached), length);
	answer->length += length;
	records = (unsigned)answer->count[0] + answer->count[1] + answer->count[2];
	for (unsigned i = 0; i < records; i++) {
		uint8_t *ttl_at = at + ttl_offset(cached, i);
		uint32_t ttl;

		memcpy(&ttl, ttl_at, sizeof(ttl));
		ttl = be32toh(ttl);
		ttl = ttl > age ? ttl - age : 0;
		ttl = ttl < least ? least : ttl;
		ttl = htobe32(ttl > most ? most : ttl);
		memcpy(ttl_at, &ttl, sizeof(ttl));
	}
}

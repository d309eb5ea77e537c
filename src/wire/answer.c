#include "vigie/answer.h"

#include <string.h>

#include "bytes.h"
#include "record.h"

enum {
	OPT_SIZE = 11,        /* bytes of an OPT record without options */
	OPTION_HEADER = 4,    /* bytes of an option's code and length */
	OPTION_EDE = 15,      /* RFC 8914 section 2 */
	OPTION_TEXT_MAX = 256 /* bytes of an EDE's text or an NSID; more is cut */
};

/* An OPT record without options (RFC 6891 section 6.1.2); `rcode` gives the extended part. */
static void write_opt(uint8_t *at, uint16_t rcode, bool edns_do)
{
	*at++ = 0;
	at = write_u16(at, VIGIE_TYPE_OPT);
	at = write_u16(at, VIGIE_UDP_SIZE_EDNS);
	at = write_u32(at, (uint32_t)(rcode >> 4) << 24 | (edns_do ? 0x8000U : 0));
	write_u16(at, 0);
}

inline void vigie_answer_begin(struct vigie_answer *answer, const struct vigie_query *query, uint8_t *buffer,
			       size_t limit)
{
	answer->query = query;
	answer->buffer = buffer;
	answer->limit = limit - (query->edns ? OPT_SIZE : 0);
	copy_few(buffer + VIGIE_HEADER_SIZE, query->packet + VIGIE_HEADER_SIZE,
		 vigie_query_question_length(query));
	vigie_answer_reset(answer);
}

void vigie_answer_lower_limit(struct vigie_answer *answer, size_t limit)
{
	limit -= answer->query->edns ? OPT_SIZE : 0;
	if (limit < answer->limit)
		answer->limit = limit;
}

inline void vigie_answer_reset(struct vigie_answer *answer)
{
	answer->length = VIGIE_HEADER_SIZE + vigie_query_question_length(answer->query);
	answer->rcode = VIGIE_RCODE_NOERROR;
	answer->flags = 0;
	for (int section = 0; section < VIGIE_SECTIONS; section++)
		answer->count[section] = 0;
	answer->ede = VIGIE_EDE_NONE;
	answer->rotated = false;
	answer->ede_text = NULL;
	answer->nsid = NULL;
}

static uint8_t *write_fixed(uint8_t *at, uint16_t type, uint32_t ttl, uint16_t rdlength)
{
	at = write_u16(at, type);
	at = write_u16(at, VIGIE_CLASS_IN);
	at = write_u32(at, ttl);
	return write_u16(at, rdlength);
}

uint8_t *vigie_answer_rr(struct vigie_answer *answer, enum vigie_section section, uint16_t owner,
			 uint16_t type, uint32_t ttl, uint16_t rdlength)
{
	uint8_t *at = vigie_answer_room(answer, section, 2U + RECORD_FIXED + rdlength);

	if (!at)
		return NULL;
	at = write_u16(at, (uint16_t)(0xc000 | owner));
	return write_fixed(at, type, ttl, rdlength);
}

uint8_t *vigie_answer_rr_named(struct vigie_answer *answer, enum vigie_section section, const uint8_t *owner,
			       uint16_t type, uint32_t ttl, uint16_t rdlength)
{
	size_t length = vigie_name_length(owner);
	uint8_t *at = vigie_answer_room(answer, section, length + RECORD_FIXED + rdlength);

	if (!at)
		return NULL;
	memcpy(at, owner, length);
	return write_fixed(at + length, type, ttl, rdlength);
}

uint16_t vigie_answer_offset(const struct vigie_answer *answer, const uint8_t *place)
{
	size_t offset = (size_t)(place - answer->buffer);

	return offset <= VIGIE_POINTER_MAX ? (uint16_t)offset : 0;
}

static inline void write_header(uint8_t *buffer, uint16_t id, uint16_t flags, uint16_t questions,
				uint16_t answers, uint16_t authority, uint16_t additional)
{
	buffer = write_u32(buffer, (uint32_t)id << 16 | flags);
	buffer = write_u32(buffer, (uint32_t)questions << 16 | answers);
	write_u32(buffer, (uint32_t)authority << 16 | additional);
}

/* What an answer repeats of a query's flags: opcode, RD and CD (RFC 1035 section 4.1.1, RFC 4035
 * section 3.2.2). */
static uint16_t echoed_flags(const struct vigie_query *query)
{
	return (uint16_t)(VIGIE_FLAG_QR | (query->flags & (0x7800 | VIGIE_FLAG_RD | VIGIE_FLAG_CD)));
}

/* Writes the EDE option into at most `room` bytes and returns how many it took. */
static size_t write_ede(uint8_t *at, size_t room, uint16_t code, const char *text)
{
	size_t length = text ? strnlen(text, OPTION_TEXT_MAX) : 0;

	if (room < OPTION_HEADER + 2 + length)
		length = 0;
	if (code == VIGIE_EDE_NONE || room < OPTION_HEADER + 2)
		return 0;
	at = write_u16(at, OPTION_EDE);
	at = write_u16(at, (uint16_t)(2 + length));
	at = write_u16(at, code);
	if (length > 0)
		memcpy(at, text, length);
	return OPTION_HEADER + 2 + length;
}

/* The same with the name of this server. */
static size_t write_nsid(uint8_t *at, size_t room, const char *nsid)
{
	size_t length = nsid ? strnlen(nsid, OPTION_TEXT_MAX) : 0;

	if (!nsid || room < OPTION_HEADER + length)
		return 0;
	at = write_u16(at, VIGIE_OPTION_NSID);
	at = write_u16(at, (uint16_t)length);
	memcpy(at, nsid, length);
	return OPTION_HEADER + length;
}

/* OPT and behind it the options that the answer has, as far as there is room. */
static void end_edns(struct vigie_answer *answer)
{
	uint8_t *opt = answer->buffer + answer->length;
	size_t room = answer->limit - answer->length;
	size_t length = write_nsid(opt + OPT_SIZE, room, answer->nsid);

	write_opt(opt, answer->rcode, answer->query->edns_do);
	length += write_ede(opt + OPT_SIZE + length, room - length, answer->ede, answer->ede_text);
	write_u16(opt + OPT_SIZE - 2, (uint16_t)length);
	answer->length += OPT_SIZE + length;
}

static inline size_t end(struct vigie_answer *answer, uint16_t rcode, uint16_t opt)
{
	const struct vigie_query *query = answer->query;
	uint16_t flags = vigie_answer_flags(answer);

	write_header(answer->buffer, query->id, (uint16_t)(echoed_flags(query) | flags | rcode), 1,
		     answer->count[VIGIE_ANSWER], answer->count[VIGIE_AUTHORITY],
		     (uint16_t)(answer->count[VIGIE_ADDITIONAL] + opt));
	return answer->length;
}

static __attribute__((noinline)) size_t end_with_edns(struct vigie_answer *answer)
{
	end_edns(answer);
	return end(answer, answer->rcode & 0x0f, 1);
}

inline size_t vigie_answer_end(struct vigie_answer *answer)
{
	if (answer->query->edns)
		return end_with_edns(answer);
	/* Four bits of a longer code would mean something else. */
	return end(answer, answer->rcode <= 0x0f ? answer->rcode : VIGIE_RCODE_SERVFAIL, 0);
}

/* Whether a message without a question that could be read has an OPT record. */
static bool has_opt(const struct vigie_query *query)
{
	const uint8_t *packet = query->packet;
	size_t length = query->packet_length;
	unsigned records = (unsigned)read_u16(packet + 6) + read_u16(packet + 8) + read_u16(packet + 10);
	size_t at = VIGIE_HEADER_SIZE;
	struct record record;

	for (unsigned questions = read_u16(packet + 4); questions > 0; questions--) {
		at = record_skip_name(packet, length, at);
		if (at == 0 || length - at < 4)
			return false;
		at += 4;
	}
	for (; records > 0 && record_read(&record, packet, length, at); records--) {
		if (record.type == VIGIE_TYPE_OPT)
			return true;
		at = record.end;
	}
	return false;
}

size_t vigie_answer_refusal(const struct vigie_query *query, enum vigie_gate gate, uint8_t *buffer,
			    size_t limit)
{
	struct vigie_answer answer;
	uint16_t rcode = VIGIE_RCODE_FORMERR;
	bool edns;

	if (gate == VIGIE_GATE_SHORT || gate == VIGIE_GATE_RESPONSE)
		return 0;
	if (gate == VIGIE_GATE_OPCODE)
		rcode = VIGIE_RCODE_NOTIMP;
	if (gate == VIGIE_GATE_VERSION)
		rcode = VIGIE_RCODE_BADVERS;
	if (query->name.length > 0) {
		vigie_answer_begin(&answer, query, buffer, limit);
		answer.rcode = rcode;
		return vigie_answer_end(&answer);
	}
	edns = has_opt(query);
	write_header(buffer, query->id, (uint16_t)(echoed_flags(query) | rcode), 0, 0, 0, edns);
	if (edns)
		write_opt(buffer + VIGIE_HEADER_SIZE, rcode, false);
	return VIGIE_HEADER_SIZE + (edns ? OPT_SIZE : 0);
}

size_t vigie_query_write(uint8_t *buffer, size_t size, uint16_t id, uint16_t flags, const uint8_t *name,
			 uint16_t type, uint16_t class, bool edns, bool edns_do)
{
	size_t name_length = vigie_name_length(name);
	size_t length = VIGIE_HEADER_SIZE + name_length + 4 + (edns ? OPT_SIZE : 0);
	uint8_t *at = buffer + VIGIE_HEADER_SIZE;

	if (length > size)
		return 0;
	write_header(buffer, id, flags, 1, 0, 0, edns);
	memcpy(at, name, name_length);
	at = write_u16(at + name_length, type);
	at = write_u16(at, class);
	if (edns)
		write_opt(at, VIGIE_RCODE_NOERROR, edns_do);
	return length;
}

void vigie_query_write_size(uint8_t *buffer, size_t length, uint16_t udp_size)
{
	write_u16(buffer + length - OPT_SIZE + 3, udp_size);
}

size_t vigie_query_write_options(uint8_t *buffer, size_t size, size_t length, const uint8_t *options,
				 size_t options_length)
{
	if (options_length > UINT16_MAX || options_length > size - length)
		return 0;
	write_u16(buffer + length - 2, (uint16_t)options_length);
	memcpy(buffer + length, options, options_length);
	return length + options_length;
}

/* Is this the reply to what was asked? */
#include <string.h>

#include "bytes.h"
#include "record.h"
#include "vigie/query.h"
#include "vigie/record.h"
#include "vigie/reply.h"

enum {
	OPCODE_MASK = 0x7800,
	OPTION_EDE = 15 /* RFC 8914 section 2 */
};

static uint8_t fold(uint8_t byte)
{
	return (uint8_t)(byte - 'A') < 26 ? byte | 0x20 : byte;
}

/* Compares names as long as ours is. The lengths of labels are part of the comparison, so the reply's name
 * ends where ours does. */
static enum vigie_reply_fault compare_question(const uint8_t *asked, const uint8_t *reply)
{
	size_t name = vigie_name_length(asked + VIGIE_HEADER_SIZE);

	asked += VIGIE_HEADER_SIZE;
	reply += VIGIE_HEADER_SIZE;
	if (memcmp(asked + name, reply + name, 4) != 0)
		return VIGIE_REPLY_QUESTION;
	if (memcmp(asked, reply, name) == 0)
		return VIGIE_REPLY_GOOD;
	for (size_t i = 0; i < name; i++) {
		if (fold(asked[i]) != fold(reply[i]))
			return VIGIE_REPLY_QUESTION;
	}
	return VIGIE_REPLY_CASE;
}

/* The options of an OPT fill its RDATA. */
static bool options_fill(const uint8_t *reply, const struct record *record)
{
	size_t at = record->rdata;

	while (at + 4 <= record->end)
		at += 4U + read_u16(reply + at + 2);
	return at == record->end;
}

/* A record's names can be read: the owner's, and those that may be compressed in its data. What is passed on
 * as it is must not lead a client's reader in a circle. */
static bool names_are_sound(const uint8_t *reply, size_t length, const struct record *record)
{
	uint8_t scratch[VIGIE_RDATA_SCRATCH];
	uint8_t owner[VIGIE_NAME_MAX];
	const uint8_t *rdata;

	return record_copy_name(reply, length, record->owner, record->fixed, owner, NULL) > 0 &&
	       record_expand_rdata(reply, length, record, scratch, &rdata) != SIZE_MAX;
}

/* Every record lies within the message, OPT is alone, and nothing trails. */
static bool records_fill(const uint8_t *reply, size_t length, size_t at)
{
	unsigned before_additional = (unsigned)read_u16(reply + 6) + read_u16(reply + 8);
	unsigned records = before_additional + read_u16(reply + 10);
	bool edns = false;

	for (unsigned i = 0; i < records; i++) {
		struct record record;

		if (!record_read(&record, reply, length, at) || !names_are_sound(reply, length, &record))
			return false;
		if (record.type == VIGIE_TYPE_OPT) {
			if (edns || i < before_additional || reply[record.owner] != 0 ||
			    !options_fill(reply, &record))
				return false;
			edns = true;
		}
		at = record.end;
	}
	return at == length;
}

enum vigie_reply_fault vigie_reply_judge(const uint8_t *asked, const uint8_t *reply, size_t length)
{
	size_t question = vigie_name_length(asked + VIGIE_HEADER_SIZE) + 4;
	enum vigie_reply_fault fault;
	unsigned records;

	if (length < VIGIE_HEADER_SIZE || length > VIGIE_MESSAGE_MAX)
		return VIGIE_REPLY_SHORT;
	if ((read_u16(reply + 2) & (VIGIE_FLAG_QR | OPCODE_MASK)) != VIGIE_FLAG_QR)
		return VIGIE_REPLY_QUERY;
	if (memcmp(asked, reply, 2) != 0)
		return VIGIE_REPLY_ID;
	if (read_u16(reply + 4) == 0 && length == VIGIE_HEADER_SIZE && (reply[3] & 0x0f) != 0)
		return VIGIE_REPLY_BARE;
	if (read_u16(reply + 4) != 1)
		return VIGIE_REPLY_QUESTION;
	records = (unsigned)read_u16(reply + 6) + read_u16(reply + 8) + read_u16(reply + 10);
	if (length < VIGIE_HEADER_SIZE + question + (size_t)records * (1 + RECORD_FIXED))
		return VIGIE_REPLY_SHORT;
	fault = compare_question(asked, reply);
	if (fault)
		return fault;
	return records_fill(reply, length, VIGIE_HEADER_SIZE + question) ? VIGIE_REPLY_GOOD
									 : VIGIE_REPLY_RECORDS;
}

const char *vigie_reply_fault_text(enum vigie_reply_fault fault)
{
	static const char *const text[VIGIE_REPLY_FAULTS] = {
		[VIGIE_REPLY_GOOD] = "good",   [VIGIE_REPLY_SHORT] = "short",
		[VIGIE_REPLY_QUERY] = "query", [VIGIE_REPLY_ID] = "id",
		[VIGIE_REPLY_BARE] = "bare",   [VIGIE_REPLY_QUESTION] = "question",
		[VIGIE_REPLY_CASE] = "case",   [VIGIE_REPLY_RECORDS] = "records",
	};

	return fault < VIGIE_REPLY_FAULTS ? text[fault] : "unknown";
}

/* The first extended error among the options of an OPT. */
static void read_error(struct vigie_reply_edns *edns, const uint8_t *reply, const struct record *record)
{
	for (size_t at = record->rdata; at + 4 <= record->end;) {
		uint16_t code = read_u16(reply + at);
		uint16_t size = read_u16(reply + at + 2);

		if (code == OPTION_EDE && size >= 2) {
			edns->explained = true;
			edns->info = read_u16(reply + at + 4);
			edns->text = reply + at + 6;
			edns->text_length = (uint16_t)(size - 2);
			return;
		}
		at += 4U + size;
	}
}

void vigie_reply_edns(struct vigie_reply_edns *edns, const uint8_t *reply, size_t length)
{
	unsigned records = (unsigned)read_u16(reply + 6) + read_u16(reply + 8) + read_u16(reply + 10);
	size_t at = VIGIE_HEADER_SIZE + vigie_name_length(reply + VIGIE_HEADER_SIZE) + 4;

	*edns = (struct vigie_reply_edns){.rcode = reply[3] & 0x0f};
	for (unsigned i = 0; i < records; i++) {
		struct record record;

		if (!record_read(&record, reply, length, at))
			return;
		at = record.end;
		if (record.type != VIGIE_TYPE_OPT)
			continue;
		edns->edns = true;
		edns->rcode = (uint16_t)(record.ttl >> 24 << 4 | edns->rcode);
		read_error(edns, reply, &record);
		return;
	}
}

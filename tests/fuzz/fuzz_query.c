/* Any bytes as a client's packet: the gate, a refusal or an answer. Then the same bytes as a query and
 * another server's reply to it: two bytes for the query's length, the query, the reply from its flags on,
 * without its question (which is the query's, so that more inputs come through the check). */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "vigie/answer.h"
#include "vigie/reply.h"
#include "walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS = 12, OPT_BARE = 11 /* bytes of an OPT record without options */ };

static uint8_t buffer[VIGIE_MESSAGE_MAX];

static void check_name(const struct vigie_query *query)
{
	const uint8_t *wire = query->packet + VIGIE_HEADER_SIZE;
	const struct vigie_name *name = &query->name;
	struct vigie_name again;
	uint8_t address[16];
	char text[VIGIE_NAME_TEXT_MAX];

	require(vigie_name_length(wire) == name->length && vigie_name_equal(wire, name->bytes));
	require(vigie_name_from_text(&again, vigie_name_to_text(wire, text)) == VIGIE_OK);
	require(again.length == name->length && again.labels == name->labels);
	require(memcmp(again.bytes, name->bytes, name->length) == 0);
	require(memcmp(again.offset, name->offset, name->labels + 1U) == 0);
	require(vigie_name_is_below(name, &again));
	if (vigie_name_to_address(name, address) != VIGIE_EINVAL)
		require(vigie_name_is_reverse(name));
}

/* The same question asked of another server. */
static void check_question(const struct vigie_query *query)
{
	uint8_t packet[VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4 + 11];
	struct vigie_query again;
	size_t length = vigie_query_write(packet, sizeof(packet), query->id, VIGIE_FLAG_RD,
					  query->packet + VIGIE_HEADER_SIZE, query->type, query->class,
					  query->edns, query->edns_do);

	require(length > 0 && vigie_query_parse(&again, packet, length) == VIGIE_GATE_OK);
	require(again.edns == query->edns && again.edns_do == (query->edns && query->edns_do));
	require(again.name.length == query->name.length && again.type == query->type);
}

static void check_refusal(const struct vigie_query *query, enum vigie_gate gate)
{
	size_t length = vigie_answer_refusal(query, gate, buffer, VIGIE_UDP_SIZE_PLAIN);

	if (gate == VIGIE_GATE_SHORT || gate == VIGIE_GATE_RESPONSE) {
		require(length == 0);
		return;
	}
	require(length >= VIGIE_HEADER_SIZE && length <= VIGIE_UDP_SIZE_PLAIN);
	require(read_u16(buffer) == query->id && (buffer[2] & 0xf8) == (0x80 | (query->flags >> 8 & 0x78)));
	if (query->name.length > 0)
		walk(query, buffer, length, true);
	else
		require(length == VIGIE_HEADER_SIZE + (read_u16(buffer + 10) ? OPT_BARE : 0U));
}

/* Records of sizes and owners that the query's numbers choose. */
static void check_answer(const struct vigie_query *query)
{
	size_t limit = VIGIE_UDP_SIZE_PLAIN + query->id % (sizeof(buffer) - VIGIE_UDP_SIZE_PLAIN + 1);
	uint32_t choice = (uint32_t)query->id << 16 | query->flags;
	uint16_t owner = VIGIE_OWNER_QUESTION;
	struct vigie_answer answer;
	size_t length;

	vigie_answer_begin(&answer, query, buffer, limit);
	for (int i = 0; i < RECORDS; i++) {
		enum vigie_section section = (enum vigie_section)(i * VIGIE_SECTIONS / RECORDS);
		uint16_t type = choice & 0x10000 ? VIGIE_TYPE_A : VIGIE_TYPE_TXT;
		uint16_t rdlength = (uint16_t)(choice >> 20 & (choice & 0x20000 ? 0xfff : 7));
		size_t before = answer.length;
		uint8_t *rdata = choice & 0x40000
					 ? vigie_answer_rr_named(&answer, section, query->name.bytes, type, 1,
								 rdlength)
					 : vigie_answer_rr(&answer, section, owner, type, 1, rdlength);

		if (rdata) {
			memset(rdata, i, rdlength);
			if ((choice & 0x40000) && vigie_answer_offset(&answer, buffer + before))
				owner = vigie_answer_offset(&answer, buffer + before);
		} else {
			require(answer.length == before);
			require(section == VIGIE_ADDITIONAL || (answer.flags & VIGIE_FLAG_TC));
		}
		choice = choice * 1664525 + 1013904223;
	}
	vigie_answer_rotate(&answer, choice);
	answer.rcode = choice & 0xfff;
	length = vigie_answer_end(&answer);
	require(length <= limit);
	walk(query, buffer, length, true);
}

static void check_packet(const uint8_t *data, size_t size)
{
	uint8_t *packet = exact(data, size);
	struct vigie_query query;
	enum vigie_gate gate = vigie_query_parse(&query, packet, size);

	if (query.name.length > 0)
		check_name(&query);
	if (gate == VIGIE_GATE_OK) {
		check_question(&query);
		check_answer(&query);
	} else {
		check_refusal(&query, gate);
	}
	free(packet);
}

static void check_reply(const struct vigie_query *query, const uint8_t *reply, size_t length, bool good)
{
	size_t limit = VIGIE_UDP_SIZE_PLAIN + query->flags % (sizeof(buffer) - VIGIE_UDP_SIZE_PLAIN + 1);
	struct vigie_answer answer;
	enum vigie_status status;

	vigie_answer_begin(&answer, query, buffer, limit);
	status = vigie_answer_take(&answer, reply, length);
	require(!status || !good); /* what the judge finds good can be taken */
	if (good) {
		struct vigie_reply_edns edns;

		vigie_reply_edns(&edns, reply, length);
		require(!edns.explained || edns.text + edns.text_length <= reply + length);
	}
	require(!status || answer.length == VIGIE_HEADER_SIZE + vigie_query_question_length(query));
	vigie_answer_rotate(&answer, query->id);
	length = length < limit ? length : limit; /* never more than came, but for our OPT */
	require(answer.length <= length);
	length = vigie_answer_end(&answer);
	require(length <= limit);
	walk(query, buffer, length, false);
}

static void check_append(const struct vigie_query *query, const uint8_t *reply, size_t length)
{
	size_t limit = VIGIE_UDP_SIZE_PLAIN + query->flags % (sizeof(buffer) - VIGIE_UDP_SIZE_PLAIN + 1);
	struct vigie_answer answer;
	uint8_t *target;

	vigie_answer_begin(&answer, query, buffer, limit);
	target = vigie_answer_rr(&answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION, VIGIE_TYPE_CNAME, 30, 1);
	require(target);
	*target = 0;
	vigie_answer_append(&answer, reply, length);
	require(answer.count[VIGIE_ANSWER] <= 1U + read_u16(reply + 6));
	vigie_answer_rotate(&answer, query->id);
	length = vigie_answer_end(&answer);
	require(length <= limit && target[-1] == 1 && *target == 0);
	walk(query, buffer, length, true);
}

static void check_exchange(const uint8_t *data, size_t size)
{
	size_t split = size < 2 ? 0 : read_u16(data);
	struct vigie_query query;
	uint8_t *packet;
	uint8_t *reply;
	enum vigie_reply_fault fault;
	size_t length;

	if (size < 2 + 8 || split > size - 2 - 8)
		return;
	packet = exact(data + 2, split);
	data += 2 + split;
	size -= 2 + split;
	if (vigie_query_parse(&query, packet, split) != VIGIE_GATE_OK) {
		free(packet);
		return;
	}
	vigie_reply_judge(packet, data, size); /* the bytes as they are */
	reply = assemble_reply(&query, data, size, &length);
	fault = vigie_reply_judge(packet, reply, length);
	if (fault == VIGIE_REPLY_GOOD || fault == VIGIE_REPLY_RECORDS) {
		check_reply(&query, reply, length, fault == VIGIE_REPLY_GOOD);
		check_append(&query, reply, length);
	}
	free(reply);
	free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_packet(data, size);
	check_exchange(data, size);
	return 0;
}

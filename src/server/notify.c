#include "notify.h"

#include <string.h>

enum {
	OPCODE_MASK = 0x78, /* in a header's third byte */
	OPCODE_NOTIFY = 4 << 3
};

size_t notify_answer(const struct listener *listener, const union address *client, const uint8_t *packet,
		     size_t length, uint8_t *buffer, size_t limit)
{
	uint8_t copy[VIGIE_UDP_QUERY_MAX];
	struct vigie_query query;
	struct vigie_answer answer;
	const struct block *block;

	if (!listener->notifiable || length > sizeof(copy) || length < VIGIE_HEADER_SIZE ||
	    (packet[2] & OPCODE_MASK) != OPCODE_NOTIFY)
		return 0;
	/* But for the opcode it looks like a query. */
	memcpy(copy, packet, length);
	copy[2] &= (uint8_t)~OPCODE_MASK;
	if (vigie_query_parse(&query, copy, length) != VIGIE_GATE_OK)
		return 0;
	query.flags = (uint16_t)(packet[2] << 8 | packet[3]);
	vigie_answer_begin(&answer, &query, buffer, limit);
	answer.rcode = VIGIE_RCODE_REFUSED;
	block = zone_table_get(listener->zones, &query.name);
	if (block && query.type == VIGIE_TYPE_SOA && query.class == VIGIE_CLASS_IN &&
	    block_notify(block, &query.name, &client->any)) {
		answer.rcode = VIGIE_RCODE_NOERROR;
		answer.flags |= VIGIE_FLAG_AA;
	}
	return vigie_answer_end(&answer);
}

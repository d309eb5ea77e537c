#include "vigie/query.h"

#include "bytes.h"
#include "read_name.h"
#include "record.h"

/* One OPT record at most, with the root as its owner, in the additional section (RFC 6891 section 6.1.1). The
 * answer has one as well, also when it is a format error (section 7). */
static bool read_opt(struct vigie_query *query, const struct record *record, uint8_t *version)
{
	const uint8_t *packet = query->packet;
	bool another = query->edns;
	size_t at = record->rdata;

	query->edns = true;
	if (another || packet[record->owner] != 0)
		return false;
	query->edns_size = record->class > VIGIE_UDP_SIZE_PLAIN ? record->class : VIGIE_UDP_SIZE_PLAIN;
	query->edns_do = (record->ttl & 0x8000) != 0;
	*version = (uint8_t)(record->ttl >> 16);
	for (int options = 0; at < record->end; options++) {
		if (options == VIGIE_EDNS_OPTIONS_MAX || record->end - at < 4)
			return false;
		if (read_u16(packet + at) == VIGIE_OPTION_NSID)
			query->nsid = true;
		at += 4U + read_u16(packet + at + 2);
	}
	return at == record->end;
}

/* Everything behind the question: records are only stepped over (IXFR has a SOA in its authority section,
 * TSIG may be last), but OPT is read. */
static __attribute__((noinline)) enum vigie_gate read_records(struct vigie_query *query, size_t at)
{
	const uint8_t *packet = query->packet;
	unsigned before_additional = (unsigned)read_u16(packet + 6) + read_u16(packet + 8);
	unsigned records = before_additional + read_u16(packet + 10);
	uint8_t version = 0;

	for (unsigned i = 0; i < records; i++) {
		struct record record;

		if (!record_read(&record, packet, query->packet_length, at))
			return VIGIE_GATE_FORMAT;
		if (record.type == VIGIE_TYPE_OPT &&
		    (!read_opt(query, &record, &version) || i < before_additional))
			return VIGIE_GATE_FORMAT;
		at = record.end;
	}
	if (at != query->packet_length)
		return VIGIE_GATE_FORMAT;
	return version > 0 ? VIGIE_GATE_VERSION : VIGIE_GATE_OK;
}

/* Whether the header counts one question and nothing else, as that of nearly every query. */
static bool counts_are_usual(const uint8_t *packet)
{
	static const uint8_t usual[8] = {0, 1};

	return memcmp(packet + 4, usual, sizeof(usual)) == 0;
}

inline enum vigie_gate vigie_query_parse(struct vigie_query *query, const uint8_t *packet, size_t length)
{
	bool usual;
	size_t at;

	query->name.length = 0;
	query->edns = false;
	query->edns_do = false;
	query->nsid = false;
	query->forward_options = false;
	query->edns_size = VIGIE_UDP_SIZE_PLAIN;
	if (length < VIGIE_HEADER_SIZE || length > VIGIE_MESSAGE_MAX)
		return VIGIE_GATE_SHORT;
	query->packet = packet;
	query->packet_length = (uint16_t)length;
	query->id = read_u16(packet);
	query->flags = read_u16(packet + 2);
	if (query->flags & (VIGIE_FLAG_QR | 0x7800))
		return query->flags & VIGIE_FLAG_QR ? VIGIE_GATE_RESPONSE : VIGIE_GATE_OPCODE;
	usual = counts_are_usual(packet);
	if (!usual && read_u16(packet + 4) != 1)
		return VIGIE_GATE_QDCOUNT;
	if (!read_name(&query->name, packet + VIGIE_HEADER_SIZE, length - VIGIE_HEADER_SIZE)) {
		query->name.length = 0;
		return VIGIE_GATE_FORMAT;
	}
	at = VIGIE_HEADER_SIZE + (size_t)query->name.length;
	if (length - at < 4) {
		query->name.length = 0;
		return VIGIE_GATE_FORMAT;
	}
	query->type = read_u16(packet + at);
	query->class = read_u16(packet + at + 2);
	at += 4;
	if (usual && at == length)
		return VIGIE_GATE_OK;
	return read_records(query, at);
}

const char *vigie_gate_text(enum vigie_gate gate)
{
	static const char *const text[VIGIE_GATES] = {
		[VIGIE_GATE_OK] = "ok",
		[VIGIE_GATE_SHORT] = "short",
		[VIGIE_GATE_RESPONSE] = "response",
		[VIGIE_GATE_OPCODE] = "opcode",
		[VIGIE_GATE_QDCOUNT] = "qdcount",
		[VIGIE_GATE_FORMAT] = "format",
		[VIGIE_GATE_VERSION] = "version",
	};

	return gate < VIGIE_GATES ? text[gate] : "unknown";
}

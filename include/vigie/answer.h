/* Writing an answer into a buffer: header, the question echoed as it was asked, records by whole RRs, OPT
 * last.
 *
 *     vigie_answer_begin(&answer, &query, buffer, limit);
 *     rdata = vigie_answer_rr(&answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION, VIGIE_TYPE_A, ttl, 4);
 *     if (rdata) memcpy(rdata, address, 4);
 *     length = vigie_answer_end(&answer);
 *
 * A record that does not fit is left out whole; TC is set unless it was an additional one (RFC 2181 section
 * 9). */
#ifndef VIGIE_ANSWER_H
#define VIGIE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/query.h"

enum vigie_section { VIGIE_ANSWER, VIGIE_AUTHORITY, VIGIE_ADDITIONAL, VIGIE_SECTIONS };

enum {
	VIGIE_OWNER_QUESTION = VIGIE_HEADER_SIZE, /* the offset of the question's name: the usual owner */
	VIGIE_POINTER_MAX = 0x3fff                /* the last offset that a compression pointer reaches */
};

struct vigie_answer {
	const struct vigie_query *query; /* borrowed */
	uint8_t *buffer;                 /* borrowed */
	size_t length;                   /* bytes written so far */
	size_t limit;                    /* bytes that records may fill: room for OPT is kept back */
	uint16_t rcode;                  /* 12 bits; NOERROR at begin. Above 15 without EDNS: SERVFAIL */
	uint16_t flags;                  /* AA, TC, RA, AD to be set; QR, RD, CD come from the query */
	uint16_t count[VIGIE_SECTIONS];
	uint16_t ede;         /* why it is as it is: enum vigie_ede; written when the client sent EDNS */
	bool rotated;         /* the address records' order was chosen already */
	const char *ede_text; /* EXTRA-TEXT of the EDE; borrowed until the end; NULL: none */
	const char *nsid;     /* answers the client's NSID option (RFC 5001); borrowed; NULL: not given */
};

/* INFO-CODEs of Extended DNS Errors (RFC 8914 section 5.2) that are used. */
enum vigie_ede {
	VIGIE_EDE_OTHER = 0,
	VIGIE_EDE_STALE = 3,
	VIGIE_EDE_FORGED = 4,
	VIGIE_EDE_CACHED_ERROR = 13,
	VIGIE_EDE_NOT_READY = 14,
	VIGIE_EDE_BLOCKED = 15,
	VIGIE_EDE_FILTERED = 17,
	VIGIE_EDE_PROHIBITED = 18,
	VIGIE_EDE_STALE_NXDOMAIN = 19,
	VIGIE_EDE_NOT_AUTHORITATIVE = 20,
	VIGIE_EDE_NOT_SUPPORTED = 21,
	VIGIE_EDE_NO_REACHABLE_AUTHORITY = 22,
	VIGIE_EDE_NETWORK_ERROR = 23,
	VIGIE_EDE_INVALID_DATA = 24,
	VIGIE_EDE_NONE = 0xffff /* ours: no EDE */
};

/* Starts an answer of at most `limit` bytes (at least 512). The buffer must hold `limit` bytes. */
void vigie_answer_begin(struct vigie_answer *answer, const struct vigie_query *query, uint8_t *buffer,
			size_t limit);

/* Forgets all records, flags and the rcode; the question stays. */
void vigie_answer_reset(struct vigie_answer *answer);

/* Makes room for `size` bytes of a record, which counts as written; NULL when it does not fit. Sections must
 * be written in order. */
static inline uint8_t *vigie_answer_room(struct vigie_answer *answer, enum vigie_section section, size_t size)
{
	uint8_t *at = answer->buffer + answer->length;

	if (answer->limit - answer->length < size) {
		if (section != VIGIE_ADDITIONAL)
			answer->flags |= VIGIE_FLAG_TC;
		return NULL;
	}
	answer->length += size;
	answer->count[section]++;
	return at;
}

/* Adds a record of class IN and returns where its `rdlength` bytes go; NULL when it does not fit. `owner` is
 * the offset of the owner's name in the answer, written as a compression pointer: VIGIE_OWNER_QUESTION, an
 * offset inside the question's name, or one that vigie_answer_offset gave. Sections must be written in order.
 */
uint8_t *vigie_answer_rr(struct vigie_answer *answer, enum vigie_section section, uint16_t owner,
			 uint16_t type, uint32_t ttl, uint16_t rdlength);

/* The same with the owner spelled out: an uncompressed wire name. */
uint8_t *vigie_answer_rr_named(struct vigie_answer *answer, enum vigie_section section, const uint8_t *owner,
			       uint16_t type, uint32_t ttl, uint16_t rdlength);

/* Gives the record whose RDATA is at `rdata`, the place that one of the above returned, another class than
 * IN.
 */
static inline void vigie_answer_set_class(uint8_t *rdata, uint16_t class)
{
	rdata[-8] = (uint8_t)(class >> 8);
	rdata[-7] = (uint8_t) class;
}

/* Lowers the limit of an answer without records yet to `limit` bytes of message (at least 512). */
void vigie_answer_lower_limit(struct vigie_answer *answer, size_t limit);

/* The offset of a place in the answer, to be an owner later; 0 when no pointer reaches it. */
uint16_t vigie_answer_offset(const struct vigie_answer *answer, const uint8_t *place);

/* Takes another server's whole reply as this answer: rcode, AA, RA, AD, TC and all records, byte for byte but
 * for its OPT and what stands behind that, and with the least TTL of a set for each of its records (RFC 2181
 * section 5.2), cut by whole RRs when it does not fit. `reply` must have passed
 * vigie_reply_judge for this question. VIGIE_EINVAL when a record is malformed or an OPT is not an additional
 * one; the answer is reset then. */
enum vigie_status vigie_answer_take(struct vigie_answer *answer, const uint8_t *reply, size_t length);

/* Gives the records of each set, which stand side by side, the least TTL among them (RFC 2181 section 5.2):
 * it would be a set no more when the first of them is gone. vigie_answer_take does it. */
void vigie_answer_level_ttls(struct vigie_answer *answer);

/* Appends the answer section of another server's reply to one question, names decompressed. VIGIE_EINVAL when
 * a record is malformed, or not of class IN: what came before it stays. TC is set when not all fits or when
 * the reply was truncated. */
enum vigie_status vigie_answer_append(struct vigie_answer *answer, const uint8_t *reply, size_t length);

/* Records of one owner, A or AAAA, that stand side by side in the answer section and have one size: they may
 * change places. The RDATA is the last `rdlength` bytes of each. */
struct vigie_run {
	uint8_t *records;
	size_t count; /* at least 2 */
	size_t size;  /* bytes of each */
	uint16_t type;
	uint16_t rdlength;
	uint16_t owner; /* offset of the owner's name in the answer */
};

/* Calls `arrange` for each run. */
void vigie_answer_arrange(struct vigie_answer *answer,
			  void (*arrange)(void *argument, const struct vigie_answer *answer,
					  const struct vigie_run *run),
			  void *argument);

/* Changes the order of all runs: each starts elsewhere. */
void vigie_answer_rotate(struct vigie_answer *answer, uint32_t seed);

/* The name at an offset of the answer, decompressed and folded. VIGIE_EINVAL when there is none. */
enum vigie_status vigie_answer_name(const struct vigie_answer *answer, uint16_t offset,
				    struct vigie_name *name);

/* The flags as the client sees them: AD is for those who asked for it (RFC 6840 section 5.8). */
static inline uint16_t vigie_answer_flags(const struct vigie_answer *answer)
{
	const struct vigie_query *query = answer->query;

	if ((answer->flags & VIGIE_FLAG_AD) && !query->edns_do && !(query->flags & VIGIE_FLAG_AD))
		return (uint16_t)(answer->flags & ~VIGIE_FLAG_AD);
	return answer->flags;
}

/* Says why the answer is as it is. `text` is borrowed until the end, or NULL. */
static inline void vigie_answer_explain(struct vigie_answer *answer, enum vigie_ede code, const char *text)
{
	answer->ede = (uint16_t)code;
	answer->ede_text = text;
}

/* Lowers the limit of struct vigie_answer: the last records are left out, whole, until the rest fits; TC is
 * set unless they were additional ones. */
void vigie_answer_cut(struct vigie_answer *answer, size_t limit);

/* Writes the header's counts and flags and, when the client sent one, the OPT record, and returns the length.
 * Of the OPT's options those are left out that do not fit behind the records: first the EDE's text. */
size_t vigie_answer_end(struct vigie_answer *answer);

/* A whole answer without records, for packets that the gate refused: id, opcode and RD echoed, the question
 * when it could be read, and OPT when the packet has one (RFC 6891 sections 6.1.1 and 7). Returns its length;
 * 0 when the rule is silence (short packets and responses). */
size_t vigie_answer_refusal(const struct vigie_query *query, enum vigie_gate gate, uint8_t *buffer,
			    size_t limit);

/* The header fields of a reply that passed vigie_reply_judge. */
static inline uint16_t vigie_reply_flags(const uint8_t *reply)
{
	return (uint16_t)(reply[2] << 8 | reply[3]);
}
static inline uint16_t vigie_reply_rcode(const uint8_t *reply)
{
	return reply[3] & 0x0f;
}

/* Writes a query for a name into a buffer (`flags` as they are; OPT with VIGIE_UDP_SIZE_EDNS and the DO bit
 * when `edns`). `name` is an uncompressed wire name. Returns its length; 0 when it does not fit. */
size_t vigie_query_write(uint8_t *buffer, size_t size, uint16_t id, uint16_t flags, const uint8_t *name,
			 uint16_t type, uint16_t class, bool edns, bool edns_do);

/* Says another size in the empty OPT record that a query of vigie_query_write ends with: the most that the
 * asker takes by UDP. */
void vigie_query_write_size(uint8_t *buffer, size_t length, uint16_t udp_size);

/* Puts EDNS options into the empty OPT record that a query of vigie_query_write ends with. Returns the new
 * length; 0 when it does not fit. */
size_t vigie_query_write_options(uint8_t *buffer, size_t size, size_t length, const uint8_t *options,
				 size_t options_length);

#endif

/* Another server's reply to a question of ours: whether it is one at all, and what it says of itself. Nothing
 * here trusts a byte of it. */
#ifndef VIGIE_REPLY_H
#define VIGIE_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a message is not the reply to what was asked; in the order in which it is looked for. */
enum vigie_reply_fault {
	VIGIE_REPLY_GOOD,
	VIGIE_REPLY_SHORT,    /* less than a header, or than the counts and the question need */
	VIGIE_REPLY_QUERY,    /* QR is not set, or the opcode is not QUERY */
	VIGIE_REPLY_ID,       /* another id */
	VIGIE_REPLY_BARE,     /* an error without a question: what old servers answer to EDNS */
	VIGIE_REPLY_QUESTION, /* another question, or not one question */
	VIGIE_REPLY_CASE,     /* the same name in other letters (0x20) */
	VIGIE_REPLY_RECORDS,  /* a malformed record, name or OPT, a second OPT, or bytes that trail */
	VIGIE_REPLY_FAULTS
};

/* Judges a message of `length` bytes by the query that was sent, letter by letter. Its work is linear in
 * `length`. */
enum vigie_reply_fault vigie_reply_judge(const uint8_t *asked, const uint8_t *reply, size_t length);

/* A word for counters and logs, such as "question". Static storage. */
const char *vigie_reply_fault_text(enum vigie_reply_fault fault);

/* What a good reply's OPT record holds (RFC 6891, RFC 8914). */
struct vigie_reply_edns {
	bool edns;
	uint16_t rcode;      /* 12 bits, of header and OPT together */
	bool explained;      /* an extended error is there: the first */
	uint16_t info;       /* its code */
	const uint8_t *text; /* its text, UTF-8 as sent; points into the reply */
	uint16_t text_length;
};

/* Reads OPT out of a reply that vigie_reply_judge found good. */
void vigie_reply_edns(struct vigie_reply_edns *edns, const uint8_t *reply, size_t length);

#endif

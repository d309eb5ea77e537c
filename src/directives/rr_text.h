/* One resource record in the form of a zone file (RFC 1035 section 5.1) becomes one as in a message. */
#ifndef VIGIE_DIRECTIVES_RR_TEXT_H
#define VIGIE_DIRECTIVES_RR_TEXT_H

#include "vigie/answer.h"
#include "vigie/name.h"
#include "vigie/status.h"

enum {
	RR_TEXT_RDATA_MAX = 4096 /* bytes of a record's RDATA; longer ones are refused */
};

struct rr_text {
	struct vigie_name owner;
	uint16_t type;
	uint16_t class;
	uint32_t ttl; /* 3600 when the text has none */
	uint16_t rdlength;
	uint8_t rdata[RR_TEXT_RDATA_MAX]; /* names spelled out */
};

/* Names without a final dot are taken as if they had one. VIGIE_EINVAL: `error` (may be NULL) says why. */
enum vigie_status rr_text_read(struct rr_text *rr, const char *text, struct vigie_error *error);

/* Adds it to an answer; TC as by vigie_answer_rr. False when it does not fit. */
bool rr_text_write(const struct rr_text *rr, struct vigie_answer *answer, enum vigie_section section);

#endif

/* The names of types, classes, opcodes and response codes, as people write them (IANA's DNS parameters): in
 * logs, metrics and Corefiles. */
#ifndef VIGIE_TEXT_H
#define VIGIE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "vigie/status.h"

enum {
	VIGIE_TEXT_MAX = 20 /* bytes of the longest of these texts, its terminator included */
};

/* "AAAA"; "TYPE65280" for one without a name (RFC 3597 section 5). Static storage, or `text`, which has room
 * for VIGIE_TEXT_MAX bytes. So do all below. */
const char *vigie_type_text(uint16_t type, char *text);
const char *vigie_class_text(uint16_t class, char *text);  /* "IN", "CLASS42" */
const char *vigie_rcode_text(uint16_t rcode, char *text);  /* "NXDOMAIN", "RCODE31" */
const char *vigie_opcode_text(uint8_t opcode, char *text); /* "QUERY", "OPCODE7" */

/* The other way round, upper or lower case; "TYPE28" and "CLASS1" are understood, too. VIGIE_EINVAL when it
 * is none. */
enum vigie_status vigie_type_from_text(uint16_t *type, const char *text);
enum vigie_status vigie_class_from_text(uint16_t *class, const char *text);
enum vigie_status vigie_rcode_from_text(uint16_t *rcode, const char *text);

#endif

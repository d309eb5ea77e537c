/* What HTTP says of a DNS message that it carries (RFC 8484). */
#ifndef VIGIE_FORWARD_DOH_MESSAGE_H
#define VIGIE_FORWARD_DOH_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOH_TYPE "application/dns-message"

/* Whether a Content-Type is DOH_TYPE, with or without parameters. NULL: no. */
bool doh_is_message(const char *content_type);

/* The value of an Age header; 0 when it is no number. */
uint32_t doh_read_age(const char *value);

/* Takes `age` seconds off all TTLs of a message, as if it had been in this cache so long (section 5.1). A
 * malformed message is changed as far as it can be read. */
void doh_age(uint8_t *message, size_t length, uint32_t age);

#endif

/* TXT records that a CA asks for to see whose a domain is (RFC 8555 section 8.4). They are answered by every
 * block of a configuration with `tls { acme }`, before all else. */
#ifndef VIGIE_DIRECTIVES_ACME_ANSWERS_H
#define VIGIE_DIRECTIVES_ACME_ANSWERS_H

#include "vigie/directive.h"

/* What stands first in the chains. Its instance is NULL: the records are the process'. */
extern const struct vigie_directive acme_answers;

/* Adds a record, and takes it away: as vigie_acme_options has it, in any thread but the workers'. */
void acme_answers_present(void *argument, const char *name, const char *value);
void acme_answers_withdraw(void *argument, const char *name, const char *value);

#endif

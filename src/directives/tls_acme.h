/* `tls { acme DOMAIN… }`: certificates that are obtained and renewed by themselves. */
#ifndef VIGIE_DIRECTIVES_TLS_ACME_H
#define VIGIE_DIRECTIVES_TLS_ACME_H

#include "vigie/acme.h"
#include "vigie/directive.h"

/* Whether the statement has the option. */
bool tls_acme_is_asked(const struct vigie_statement *statement);

/* Whether an option of that name goes with it. */
bool tls_acme_has_option(const char *name);

/* Reads the options and makes what obtains the certificate, or takes over what does so already, in another
 * block or before the configuration was reloaded. To be released by vigie_keep_release. NULL with `error`
 * set. */
struct tls_acme *tls_acme_get(struct vigie_block *block, const struct vigie_statement *statement,
			      struct vigie_error *error);

/* The file of key and certificate, which may not be there yet. */
const char *tls_acme_file(const struct tls_acme *tls_acme);

enum vigie_status tls_acme_start(struct tls_acme *tls_acme, struct vigie_error *error);

#endif

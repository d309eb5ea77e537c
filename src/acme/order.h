/* One certificate by ACME, from the directory to the chain (RFC 8555 section 7). */
#ifndef VIGIE_ACME_ORDER_H
#define VIGIE_ACME_ORDER_H

#include <openssl/evp.h>

#include "http.h"
#include "vigie/acme.h"

/* Gets a certificate for the options' domains and `key`, with the account of `account`, which is made when
 * there is none. Waits for the CA. `chain` is PEM as the CA gave it; the caller frees it. */
enum vigie_status acme_order(struct acme_http *http, const struct vigie_acme_options *options,
			     EVP_PKEY *account, EVP_PKEY *key, char **chain, struct vigie_error *error);

#endif

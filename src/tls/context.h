#ifndef VIGIE_TLS_CONTEXT_H
#define VIGIE_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "vigie/tls.h"

/* The current settings with a reference of their own; NULL when memory is out. */
SSL_CTX *context_get(struct vigie_tls *tls);

#endif

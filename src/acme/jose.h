/* Keys and signatures as ACME wants them: ECDSA by P-256 (RFC 7515, 7517, 7518, 7638). */
#ifndef VIGIE_ACME_JOSE_H
#define VIGIE_ACME_JOSE_H

#include <jansson.h>
#include <openssl/evp.h>

#include "vigie/status.h"

/* Base64 for URLs without padding; the caller frees. NULL when memory is out. */
char *jose_base64(const void *bytes, size_t length);

/* The public key as a JWK. NULL when memory is out. */
json_t *jose_jwk(EVP_PKEY *key);

/* Base64 of SHA-256 over the JWK's thumbprint input; the caller frees. */
char *jose_thumbprint(EVP_PKEY *key);

/* Base64 of SHA-256 over text: the value of a DNS-01 record. */
char *jose_digest(const char *text);

/* A flattened JWS; `header` gets "alg". `payload` is text, "" for POST-as-GET. The caller frees. */
char *jose_sign(EVP_PKEY *key, json_t *header, const char *payload);

/* A new key. */
EVP_PKEY *jose_key_new(void);

/* A request for a certificate of these domains, as base64 of DER; the caller frees. */
char *jose_request(EVP_PKEY *key, const char *const *domains, size_t count);

#endif

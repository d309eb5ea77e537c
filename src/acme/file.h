/* Keys and certificates in the storage folder: PEM, for the owner's eyes alone, written whole or not at all.
 */
#ifndef VIGIE_ACME_FILE_H
#define VIGIE_ACME_FILE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

#include "vigie/status.h"

/* Makes the folder and those above it. */
enum vigie_status acme_make_folder(const char *path, struct vigie_error *error);

/* Reads the key of a file; NULL: there is none that can be read. */
EVP_PKEY *acme_read_key(const char *path);

/* Reads the first certificate of a file; NULL: there is none. */
X509 *acme_read_certificate(const char *path);

/* Whether a file has at least one certificate. */
bool acme_has_certificates(const char *path);

/* Replaces a file by one with the key and, if it is not NULL, the chain (PEM) behind it. */
enum vigie_status acme_write(const char *path, EVP_PKEY *key, const char *chain, struct vigie_error *error);

/* Whether the chain's first certificate is for this key and these domains. */
bool acme_fits(const char *chain, EVP_PKEY *key, const char *const *domains, size_t count);

/* Whether the certificate is for all of these domains. */
bool acme_covers(X509 *certificate, const char *const *domains, size_t count);

#endif

/* Certificates by ACME (RFC 8555) with the DNS-01 challenge: obtained, kept in a folder and renewed, by a
 * thread of its own that answers nobody. */
#ifndef VIGIE_ACME_H
#define VIGIE_ACME_H

#include <stddef.h>

#include "vigie/status.h"

#define VIGIE_ACME_CA "https://acme-v02.api.letsencrypt.org/directory"

enum {
	VIGIE_ACME_DOMAINS_MAX = 100 /* of one certificate, as Let's Encrypt has it */
};

struct vigie_acme_options {
	const char *const *domains; /* in lower case, without the last dot; the first names the file */
	size_t domain_count;
	const char *email;    /* of the account; NULL: none */
	const char *ca;       /* URL of the directory */
	const char *storage;  /* folder of account keys, keys and certificates; made when it is not there */
	const char *ca_root;  /* PEM file with what else the CA's server may be verified by; NULL: none */
	const char *resolver; /* HOST:PORT of the DNS server that is asked for the CA's address; NULL: the
				 system's */

	/* A TXT record that the CA will ask for is to be there, and gone; in the thread. `name` is text. */
	void (*present)(void *argument, const char *name, const char *value);
	void (*withdraw)(void *argument, const char *name, const char *value);
	void *argument;
};

struct vigie_acme;

/* Does nothing yet. The options' text is borrowed until free. NULL with `error` set. */
struct vigie_acme *vigie_acme_new(const struct vigie_acme_options *options, struct vigie_error *error);

/* PEM: the private key, the certificate and its chain. It is there from the first certificate on, and
 * replaced whole. */
const char *vigie_acme_file(const struct vigie_acme *acme);

/* Begins to obtain and to renew, unless it does already. */
enum vigie_status vigie_acme_start(struct vigie_acme *acme, struct vigie_error *error);

/* Ends the thread, whatever it does. */
void vigie_acme_stop(struct vigie_acme *acme);
void vigie_acme_free(struct vigie_acme *acme);

#endif

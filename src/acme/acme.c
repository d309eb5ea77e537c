#include "vigie/acme.h"

#include <openssl/err.h>
#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "file.h"
#include "http.h"
#include "order.h"
#include "jose.h"
#include "vigie/clock.h"
#include "vigie/log.h"
#include "vigie/random.h"
#include "vigie/thread.h"

enum {
	RETRY_FIRST_MS = 60000, /* after a failure; doubled each time: CAs bound how often one may fail */
	RETRY_MAX_MS = 6 * 3600000,
	LOOK_MS = 3600000, /* how often the clock is looked at: it may be set, or a machine sleep */
	TAG = 4            /* bytes of a digest that tell files apart */
};

struct vigie_acme {
	struct vigie_acme_options options;
	struct acme_http *http;
	char *file;         /* key and certificate */
	char *account_file; /* the account's key */
	pthread_t thread;
	bool runs;
};

/* STORAGE/KIND-NAME-TAG.pem: the tag is of what else makes the difference. */
static char *make_path(const char *storage, const char *kind, const char *name,
		       crypto_generichash_state *state)
{
	uint8_t digest[crypto_generichash_BYTES];
	char tag[2 * TAG + 1];
	char *path;

	crypto_generichash_final(state, digest, sizeof(digest));
	sodium_bin2hex(tag, sizeof(tag), digest, TAG);
	if (asprintf(&path, "%s/%s%s-%s.pem", storage, kind, name, tag) < 0)
		return NULL;
	for (char *at = path + strlen(storage); *at; at++) {
		if (*at == '*')
			*at = '_';
	}
	return path;
}

static void add_text(crypto_generichash_state *state, const char *text)
{
	crypto_generichash_update(state, (const uint8_t *)text, strlen(text) + 1);
}

struct vigie_acme *vigie_acme_new(const struct vigie_acme_options *options, struct vigie_error *error)
{
	struct vigie_acme *acme = calloc(1, sizeof(*acme));
	crypto_generichash_state state;

	if (!acme)
		goto memory;
	acme->options = *options;
	if (options->ca_root && !acme_has_certificates(options->ca_root)) {
		vigie_error_set(error, VIGIE_EINVAL, "'%.256s' holds no certificate", options->ca_root);
		vigie_acme_free(acme);
		return NULL;
	}
	crypto_generichash_init(&state, NULL, 0, crypto_generichash_BYTES);
	add_text(&state, options->ca);
	for (size_t i = 0; i < options->domain_count; i++)
		add_text(&state, options->domains[i]);
	acme->file = make_path(options->storage, "", options->domains[0], &state);
	crypto_generichash_init(&state, NULL, 0, crypto_generichash_BYTES);
	add_text(&state, options->ca);
	add_text(&state, options->email ? options->email : "");
	acme->account_file = make_path(options->storage, "account", "", &state);
	acme->http = acme_http_new(options->ca_root, options->resolver);
	if (acme->file && acme->account_file && acme->http)
		return acme;
memory:
	vigie_error_memory(error);
	vigie_acme_free(acme);
	return NULL;
}

void vigie_acme_free(struct vigie_acme *acme)
{
	if (!acme)
		return;
	vigie_acme_stop(acme);
	acme_http_free(acme->http);
	free(acme->file);
	free(acme->account_file);
	free(acme);
}

const char *vigie_acme_file(const struct vigie_acme *acme)
{
	return acme->file;
}

/* When a third of its life is left, in seconds since 1970; 0: there is no certificate for these domains. */
static int64_t due(const struct vigie_acme *acme)
{
	X509 *certificate = acme_read_certificate(acme->file);
	struct tm from;
	struct tm to;
	int64_t when = 0;

	if (certificate && acme_covers(certificate, acme->options.domains, acme->options.domain_count) &&
	    ASN1_TIME_to_tm(X509_get0_notBefore(certificate), &from) == 1 &&
	    ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &to) == 1) {
		int64_t begin = timegm(&from);
		int64_t end = timegm(&to);

		when = end - (end - begin) / 3;
	}
	X509_free(certificate);
	ERR_clear_error();
	return when;
}

static EVP_PKEY *get_account(const struct vigie_acme *acme, struct vigie_error *error)
{
	EVP_PKEY *key = acme_read_key(acme->account_file);

	ERR_clear_error();
	if (key)
		return key;
	key = jose_key_new();
	if (key && acme_write(acme->account_file, key, NULL, error) == VIGIE_OK)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

static enum vigie_status obtain(struct vigie_acme *acme, struct vigie_error *error)
{
	const struct vigie_acme_options *options = &acme->options;
	enum vigie_status status = acme_make_folder(options->storage, error);
	EVP_PKEY *account = status ? NULL : get_account(acme, error);
	EVP_PKEY *key = jose_key_new();
	char *chain = NULL;

	if (!status && (!account || !key))
		status = VIGIE_EIO;
	if (!status)
		status = acme_order(acme->http, options, account, key, &chain, error);
	if (!status && !acme_fits(chain, key, options->domains, options->domain_count))
		status = vigie_error_set(error, VIGIE_EIO,
					 "the CA's certificate is not the one that was asked for");
	if (!status)
		status = acme_write(acme->file, key, chain, error);
	EVP_PKEY_free(account);
	EVP_PKEY_free(key);
	free(chain);
	ERR_clear_error();
	return status;
}

static void *run(void *argument)
{
	struct vigie_acme *acme = argument;
	const char *domain = acme->options.domains[0];
	uint64_t retry_ms = RETRY_FIRST_MS;

	vigie_thread_set("acme", VIGIE_THREAD_BACKGROUND);
	while (!acme_http_stopped(acme->http)) {
		struct vigie_error error = {""};
		int64_t left = due(acme) - vigie_clock_wall();

		if (left > 0) {
			acme_http_sleep(acme->http, left < LOOK_MS / 1000 ? (uint64_t)left * 1000 : LOOK_MS);
			continue;
		}
		vigie_log(VIGIE_LOG_INFO, "tls", "Obtaining a certificate for %s from %s", domain,
			  acme->options.ca);
		if (obtain(acme, &error) == VIGIE_OK) {
			vigie_log(VIGIE_LOG_INFO, "tls", "The certificate for %s is in %s", domain,
				  acme->file);
			retry_ms = RETRY_FIRST_MS;
			if (due(acme) > vigie_clock_wall())
				continue;
			vigie_error_set(&error, VIGIE_EINVAL,
					"it is nearly out of date already: is the clock right?");
		}
		if (acme_http_stopped(acme->http))
			return NULL;
		vigie_log(VIGIE_LOG_ERROR, "tls", "No certificate for %s: %s; next try in %u s", domain,
			  error.text, (unsigned)(retry_ms / 1000));
		acme_http_sleep(acme->http, retry_ms + vigie_random_below((uint32_t)(retry_ms / 10)));
		retry_ms = retry_ms * 2 < RETRY_MAX_MS ? retry_ms * 2 : RETRY_MAX_MS;
	}
	return NULL;
}

enum vigie_status vigie_acme_start(struct vigie_acme *acme, struct vigie_error *error)
{
	if (acme->runs)
		return VIGIE_OK;
	if (pthread_create(&acme->thread, NULL, run, acme))
		return vigie_error_set(error, VIGIE_ENOMEM, "the thread for certificates cannot start");
	acme->runs = true;
	return VIGIE_OK;
}

void vigie_acme_stop(struct vigie_acme *acme)
{
	if (!acme->runs)
		return;
	acme_http_stop(acme->http);
	pthread_join(acme->thread, NULL);
	acme->runs = false;
}

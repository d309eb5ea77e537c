#include "context.h"

#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vigie/file_stamp.h"

enum { FILES = 3 /* certificate, key, CA */ };

struct vigie_tls {
	struct vigie_tls_options options;
	pthread_mutex_t lock; /* of `context`: held for as long as a reference takes */
	SSL_CTX *context;
	FILE *keylog;
	struct vigie_file_stamp stamps[FILES];
};

SSL_CTX *context_get(struct vigie_tls *tls)
{
	SSL_CTX *context;

	pthread_mutex_lock(&tls->lock);
	context = tls->context;
	SSL_CTX_up_ref(context);
	pthread_mutex_unlock(&tls->lock);
	return context;
}

/* OpenSSL's reason for the last failure, with the path that it is about. */
static enum vigie_status fail(struct vigie_error *error, const char *path)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_GET_LIB(code) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(code))
							      : ERR_reason_error_string(code);
	unsigned long first = ERR_peek_error();

	if (ERR_SYSTEM_ERROR(first))
		reason = strerror(ERR_GET_REASON(first));
	ERR_clear_error();
	return vigie_error_set(error, VIGIE_EINVAL, "'%s': %s", path, reason ? reason : "cannot be read");
}

static void write_keylog(const SSL *ssl, const char *line)
{
	FILE *keylog = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	fprintf(keylog, "%s\n", line); /* whole lines: stdio locks the stream */
}

/* The client's certificate is asked for and not looked at. */
static int accept_any(int good, X509_STORE_CTX *store)
{
	return 1;
}

/* ALPN's name of this protocol, for clients that offer it; others are served all the same. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *length,
			   const unsigned char *offered, unsigned offered_length, void *argument)
{
	static const unsigned char dot[] = "\3dot";
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, length, dot, sizeof(dot) - 1, offered, offered_length) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static enum vigie_status set_client_policy(SSL_CTX *context, const struct vigie_tls_options *options,
					   struct vigie_error *error)
{
	static const int modes[] = {
		[VIGIE_TLS_NO_CERTIFICATE] = SSL_VERIFY_NONE,
		[VIGIE_TLS_REQUEST] = SSL_VERIFY_PEER,
		[VIGIE_TLS_REQUIRE] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
		[VIGIE_TLS_VERIFY_IF_GIVEN] = SSL_VERIFY_PEER,
		[VIGIE_TLS_REQUIRE_AND_VERIFY] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
	};
	bool verifies = options->client == VIGIE_TLS_VERIFY_IF_GIVEN ||
			options->client == VIGIE_TLS_REQUIRE_AND_VERIFY;

	SSL_CTX_set_verify(context, modes[options->client], verifies ? NULL : accept_any);
	/* A ticket must not carry one certificate's verdict to where another rule holds. */
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"vigie", 5);
	if (!options->ca)
		return !verifies || SSL_CTX_set_default_verify_paths(context) == 1 ? VIGIE_OK
										   : fail(error, "CA");
	if (SSL_CTX_load_verify_file(context, options->ca) != 1)
		return fail(error, options->ca);
	SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(options->ca));
	return VIGIE_OK;
}

static SSL_CTX *context_new(const struct vigie_tls *tls, struct vigie_error *error)
{
	const struct vigie_tls_options *options = &tls->options;
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (!context) {
		vigie_error_memory(error);
		return NULL;
	}
	ERR_clear_error();
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					     SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* An idle connection holds no buffers, and the process no sessions: clients keep theirs in tickets.
	 */
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
	if (options->may_lack && !vigie_file_stamp(options->certificate).exists)
		return context; /* and handshakes fail */
	if (SSL_CTX_use_certificate_chain_file(context, options->certificate) != 1) {
		fail(error, options->certificate);
		goto fail;
	}
	if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(context) != 1) {
		fail(error, options->key);
		goto fail;
	}
	if (set_client_policy(context, options, error))
		goto fail;
	if (tls->keylog) {
		SSL_CTX_set_app_data(context, tls->keylog);
		SSL_CTX_set_keylog_callback(context, write_keylog);
	}
	return context;

fail:
	SSL_CTX_free(context);
	return NULL;
}

static void read_stamps(const struct vigie_tls *tls, struct vigie_file_stamp *stamps)
{
	const char *const paths[FILES] = {tls->options.certificate, tls->options.key, tls->options.ca};

	for (int i = 0; i < FILES; i++)
		stamps[i] =
			paths[i] ? vigie_file_stamp(paths[i]) : (struct vigie_file_stamp){.exists = false};
}

struct vigie_tls *vigie_tls_new(const struct vigie_tls_options *options, struct vigie_error *error)
{
	struct vigie_tls *tls = calloc(1, sizeof(*tls));

	if (!tls) {
		vigie_error_memory(error);
		return NULL;
	}
	tls->options = *options;
	pthread_mutex_init(&tls->lock, NULL);
	if (options->keylog) {
		tls->keylog = fopen(options->keylog, "ae");
		if (!tls->keylog) {
			vigie_error_set(error, VIGIE_EIO, "'%s': %s", options->keylog, strerror(errno));
			goto fail;
		}
		setvbuf(tls->keylog, NULL, _IOLBF, 0);
	}
	read_stamps(tls, tls->stamps); /* before the files: a change in between is seen later */
	tls->context = context_new(tls, error);
	if (tls->context)
		return tls;
fail:
	vigie_tls_free(tls);
	return NULL;
}

void vigie_tls_free(struct vigie_tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->context);
	pthread_mutex_destroy(&tls->lock);
	if (tls->keylog)
		fclose(tls->keylog);
	free(tls);
}

enum vigie_status vigie_tls_refresh(struct vigie_tls *tls, struct vigie_error *error)
{
	struct vigie_file_stamp stamps[FILES];
	SSL_CTX *context;
	SSL_CTX *old;
	bool same = true;

	read_stamps(tls, stamps);
	for (int i = 0; i < FILES; i++)
		same = same && vigie_file_stamp_same(&stamps[i], &tls->stamps[i]);
	if (same)
		return VIGIE_EEXIST;
	context = context_new(tls, error);
	if (!context)
		return VIGIE_EINVAL;
	memcpy(tls->stamps, stamps, sizeof(stamps));
	pthread_mutex_lock(&tls->lock);
	old = tls->context;
	tls->context = context;
	pthread_mutex_unlock(&tls->lock);
	SSL_CTX_free(old);
	return VIGIE_OK;
}

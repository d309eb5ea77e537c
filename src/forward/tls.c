#include "tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vigie/buffer.h"

enum { FILE_MAX = 4 << 20 /* bytes of a file with certificates */ };

struct vigie_forward_tls {
	SSL_CTX *context;
	uint8_t digest[crypto_generichash_BYTES]; /* of the files */
	atomic_uint references;
};

struct tls {
	SSL *ssl;
	BIO *in;
	BIO *out;
	struct upstream *upstream;
	char trouble[REASON_MAX];
};

/* Why OpenSSL failed, in words; its queue is emptied. */
static const char *last_reason(void)
{
	unsigned long first = ERR_peek_error(); /* of a file that cannot be read; what follows says less */
	const char *reason = ERR_SYSTEM_ERROR(first) ? strerror(ERR_GET_REASON(first))
						     : ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return reason ? reason : "no reason given";
}

/* What resumes the next connection's session: the last ticket that came. A ticket is used once. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *tls = SSL_get_app_data(ssl);

	SSL_SESSION_free(atomic_exchange(&tls->upstream->session, session));
	return 1; /* it is ours now */
}

static enum vigie_status load_files(SSL_CTX *context, const char *certificate, const char *key,
				    const char *ca, struct vigie_error *error)
{
	ERR_clear_error();
	if (certificate && SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
		return vigie_error_set(error, VIGIE_EINVAL, "certificate '%s': %s", certificate,
				       last_reason());
	if (key && (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
		    SSL_CTX_check_private_key(context) != 1))
		return vigie_error_set(error, VIGIE_EINVAL, "key '%s': %s", key, last_reason());
	if ((ca ? SSL_CTX_load_verify_file(context, ca) : SSL_CTX_set_default_verify_paths(context)) != 1)
		return vigie_error_set(error, VIGIE_EINVAL, "CA file '%s': %s", ca ? ca : "of the system",
				       last_reason());
	return VIGIE_OK;
}

/* Tells settings apart by their files. One that cannot be read any more is as none. */
static void digest_files(struct vigie_forward_tls *tls, const char *const *paths, size_t count)
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, sizeof(tls->digest));
	for (size_t i = 0; i < count; i++) {
		struct vigie_buffer file;
		uint64_t length;

		vigie_buffer_init(&file, FILE_MAX);
		if (paths[i])
			vigie_buffer_read_file(&file, paths[i]);
		length = file.length;
		crypto_generichash_update(&state, (const uint8_t *)&length, sizeof(length));
		crypto_generichash_update(&state, file.data, file.length);
		vigie_buffer_fini(&file);
	}
	crypto_generichash_final(&state, tls->digest, sizeof(tls->digest));
}

struct vigie_forward_tls *vigie_forward_tls_new(const char *certificate, const char *key, const char *ca,
						struct vigie_error *error)
{
	struct vigie_forward_tls *tls = calloc(1, sizeof(*tls));

	if (tls)
		tls->context = SSL_CTX_new(TLS_client_method());
	if (!tls || !tls->context) {
		free(tls);
		vigie_error_memory(error);
		return NULL;
	}
	tls->references = 1;
	digest_files(tls, (const char *const[]){certificate, key, ca}, 3);
	SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
	SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(tls->context, on_session);
	if (load_files(tls->context, certificate, key, ca, error)) {
		vigie_forward_tls_free(tls);
		return NULL;
	}
	return tls;
}

struct vigie_forward_tls *tls_settings_hold(struct vigie_forward_tls *settings)
{
	if (settings)
		atomic_fetch_add(&settings->references, 1);
	return settings;
}

bool tls_settings_same(const struct vigie_forward_tls *a, const struct vigie_forward_tls *b)
{
	return a == b || (a && b && memcmp(a->digest, b->digest, sizeof(a->digest)) == 0);
}

bool tls_settings_apply(const struct vigie_forward_tls *settings, void *context)
{
	SSL_CTX *from = settings->context;
	X509 *certificate = SSL_CTX_get0_certificate(from);
	STACK_OF(X509) *chain = NULL;

	SSL_CTX_set1_cert_store(context, SSL_CTX_get_cert_store(from));
	if (!certificate)
		return true;
	return SSL_CTX_use_certificate(context, certificate) == 1 &&
	       SSL_CTX_use_PrivateKey(context, SSL_CTX_get0_privatekey(from)) == 1 &&
	       SSL_CTX_get0_chain_certs(from, &chain) == 1 && SSL_CTX_set1_chain(context, chain) == 1;
}

void vigie_forward_tls_free(struct vigie_forward_tls *tls)
{
	if (!tls || atomic_fetch_sub(&tls->references, 1) != 1)
		return;
	SSL_CTX_free(tls->context);
	free(tls);
}

/* The name that the certificate must be for; the address when there is none. */
static bool expect_name(SSL *ssl, const struct vigie_target *target, const char *group_name)
{
	const char *name = target->server_name[0] ? target->server_name : group_name;
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	char address[INET6_ADDRSTRLEN];
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&target->address;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&target->address;

	if (name[0] && inet_pton(AF_INET, name, address) != 1 && inet_pton(AF_INET6, name, address) != 1) {
		SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
	}
	if (name[0])
		return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
	if (target->address.ss_family == AF_INET)
		inet_ntop(AF_INET, &v4->sin_addr, address, sizeof(address));
	else
		inet_ntop(AF_INET6, &v6->sin6_addr, address, sizeof(address));
	return X509_VERIFY_PARAM_set1_ip_asc(param, address) == 1;
}

struct tls *tls_new(struct upstream *upstream, const struct vigie_forward_options *options)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	SSL_SESSION *session;

	if (!tls)
		return NULL;
	tls->upstream = upstream;
	tls->ssl = SSL_new(options->tls->context);
	tls->in = BIO_new(BIO_s_mem());
	tls->out = BIO_new(BIO_s_mem());
	if (!tls->ssl || !tls->in || !tls->out) {
		BIO_free(tls->in);
		BIO_free(tls->out);
		goto fail;
	}
	SSL_set_bio(tls->ssl, tls->in, tls->out);
	SSL_set_app_data(tls->ssl, tls);
	SSL_set_connect_state(tls->ssl);
	SSL_set_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS);
	if (!expect_name(tls->ssl, &upstream->target, options->tls_servername))
		goto fail;
	session = atomic_exchange(&upstream->session, NULL);
	if (session) {
		SSL_set_session(tls->ssl, session);
		SSL_SESSION_free(session);
	}
	SSL_do_handshake(tls->ssl); /* the first flight */
	return tls;

fail:
	SSL_free(tls->ssl);
	free(tls);
	ERR_clear_error();
	return NULL;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	/* Without this OpenSSL takes the end for a cut, and the session is not resumed. */
	if (!tls->trouble[0])
		SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(tls->ssl); /* and the BIOs */
	free(tls);
}

static enum tls_state failed(struct tls *tls)
{
	long verdict = SSL_get_verify_result(tls->ssl);

	if (verdict != X509_V_OK)
		snprintf(tls->trouble, sizeof(tls->trouble), "TLS: certificate: %s",
			 X509_verify_cert_error_string(verdict));
	else
		snprintf(tls->trouble, sizeof(tls->trouble), "TLS: %s", last_reason());
	ERR_clear_error();
	return TLS_FAILED;
}

enum tls_state tls_feed(struct tls *tls, const uint8_t *bytes, size_t length)
{
	int result;

	ERR_clear_error();
	if (BIO_write(tls->in, bytes, (int)length) != (int)length)
		return failed(tls);
	if (SSL_is_init_finished(tls->ssl))
		return TLS_OPEN;
	result = SSL_do_handshake(tls->ssl);
	if (result == 1) {
		if (SSL_version(tls->ssl) < TLS1_3_VERSION)
			on_session(tls->ssl, SSL_get1_session(tls->ssl));
		return TLS_OPEN;
	}
	return SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ ? TLS_SHAKING : failed(tls);
}

int tls_read(struct tls *tls, uint8_t *bytes, size_t size)
{
	int got;

	ERR_clear_error();
	got = SSL_read(tls->ssl, bytes, (int)size);
	if (got > 0)
		return got;
	if (SSL_get_error(tls->ssl, got) == SSL_ERROR_WANT_READ)
		return 0;
	failed(tls);
	return -1;
}

bool tls_write(struct tls *tls, const uint8_t *bytes, size_t length)
{
	ERR_clear_error();
	if (SSL_write(tls->ssl, bytes, (int)length) == (int)length)
		return true;
	failed(tls);
	return false;
}

size_t tls_output(struct tls *tls, const uint8_t **bytes)
{
	char *data;
	long length = BIO_get_mem_data(tls->out, &data);

	*bytes = (const uint8_t *)data;
	return length > 0 ? (size_t)length : 0;
}

void tls_forget_output(struct tls *tls)
{
	(void)BIO_reset(tls->out);
}

const char *tls_trouble(const struct tls *tls)
{
	return tls->trouble;
}

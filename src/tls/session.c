#include <limits.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "context.h"

struct vigie_tls_session {
	SSL *ssl;
	BIO *in; /* both are the SSL's */
	BIO *out;
};

struct vigie_tls_session *vigie_tls_session_new(struct vigie_tls *tls)
{
	struct vigie_tls_session *session = calloc(1, sizeof(*session));
	SSL_CTX *context;

	if (!session)
		return NULL;
	context = context_get(tls);
	session->ssl = SSL_new(context);
	SSL_CTX_free(context);
	session->in = BIO_new(BIO_s_mem());
	session->out = BIO_new(BIO_s_mem());
	if (!session->ssl || !session->in || !session->out) {
		BIO_free(session->in);
		BIO_free(session->out);
		SSL_free(session->ssl);
		free(session);
		return NULL;
	}
	BIO_set_mem_eof_return(session->in, -1); /* empty is "later", not the end */
	SSL_set_bio(session->ssl, session->in, session->out);
	SSL_set_accept_state(session->ssl);
	return session;
}

void vigie_tls_session_free(struct vigie_tls_session *session)
{
	if (!session)
		return;
	SSL_free(session->ssl);
	free(session);
}

enum vigie_status vigie_tls_put(struct vigie_tls_session *session, const uint8_t *bytes, size_t length)
{
	if (length > INT_MAX || BIO_write(session->in, bytes, (int)length) != (int)length)
		return VIGIE_ENOMEM;
	return VIGIE_OK;
}

ssize_t vigie_tls_read(struct vigie_tls_session *session, uint8_t *buffer, size_t size)
{
	size_t got = 0;
	int result;

	ERR_clear_error();
	if (SSL_read_ex(session->ssl, buffer, size, &got) == 1)
		return (ssize_t)got;
	result = SSL_get_error(session->ssl, 0);
	return result == SSL_ERROR_WANT_READ || result == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

enum vigie_status vigie_tls_write(struct vigie_tls_session *session, const uint8_t *bytes, size_t length)
{
	size_t written;

	if (length == 0)
		return VIGIE_OK;
	ERR_clear_error();
	/* Into memory: all of it is taken, or nothing ever will be. */
	return SSL_write_ex(session->ssl, bytes, length, &written) == 1 && written == length ? VIGIE_OK
											     : VIGIE_EIO;
}

void vigie_tls_shutdown(struct vigie_tls_session *session)
{
	ERR_clear_error();
	if (SSL_is_init_finished(session->ssl))
		SSL_shutdown(session->ssl);
}

size_t vigie_tls_take(struct vigie_tls_session *session, uint8_t *buffer, size_t size)
{
	int got = BIO_read(session->out, buffer, size > INT_MAX ? INT_MAX : (int)size);

	return got > 0 ? (size_t)got : 0;
}

/* TLS for servers (RFC 7858): a certificate that is read again when its files change, and sessions that turn
 * bytes into bytes. No sockets here: who has the connection feeds a session what came and sends what it
 * gives. */
#ifndef VIGIE_TLS_H
#define VIGIE_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vigie/status.h"

enum {
	VIGIE_TLS_RECORD_MAX = 16384 /* bytes of plain text in one record (RFC 8446 section 5.1) */
};

/* What a client must show of itself; Go's names of these policies are those of the `tls` directive. */
enum vigie_tls_client {
	VIGIE_TLS_NO_CERTIFICATE,
	VIGIE_TLS_REQUEST,         /* asked for, not looked at */
	VIGIE_TLS_REQUIRE,         /* must be there, not verified */
	VIGIE_TLS_VERIFY_IF_GIVEN, /* verified by the CA if it is there */
	VIGIE_TLS_REQUIRE_AND_VERIFY
};

struct vigie_tls_options {
	const char *certificate; /* PEM file: the server's, then those between it and its root */
	const char *key;         /* PEM file */
	const char *ca;          /* PEM file that clients are verified by; NULL: the system's */
	const char *keylog;      /* secrets are appended to this file, for debugging; NULL: not */
	enum vigie_tls_client client;
	bool may_lack; /* the certificate may not be there yet: until it is, no session begins */
};

struct vigie_tls;

/* Reads the files. The options' text is borrowed until free. NULL and `error` set on failure. */
struct vigie_tls *vigie_tls_new(const struct vigie_tls_options *options, struct vigie_error *error);
void vigie_tls_free(struct vigie_tls *tls);

/* Reads the files again when they have changed: new sessions get what is new. VIGIE_EEXIST: nothing has
 * changed. On other failures sessions get what was there before, and `error` is set. One thread at a time. */
enum vigie_status vigie_tls_refresh(struct vigie_tls *tls, struct vigie_error *error);

/* One connection; used by one thread. It may outlive the vigie_tls that it was made from. */
struct vigie_tls_session;

/* NULL when memory is out. Any thread. */
struct vigie_tls_session *vigie_tls_session_new(struct vigie_tls *tls);
void vigie_tls_session_free(struct vigie_tls_session *session);

/* Gives the session bytes that came from the client. VIGIE_ENOMEM. */
enum vigie_status vigie_tls_put(struct vigie_tls_session *session, const uint8_t *bytes, size_t length);

/* Takes plain text out of what came; 0: there is none at the moment; -1: the client has said goodbye, or the
 * handshake or a record was wrong: nothing more will come. Look at vigie_tls_take in any case. */
ssize_t vigie_tls_read(struct vigie_tls_session *session, uint8_t *buffer, size_t size);

/* Gives the session plain text for the client. VIGIE_EIO: there is no session (any more). */
enum vigie_status vigie_tls_write(struct vigie_tls_session *session, const uint8_t *bytes, size_t length);

/* Says goodbye to the client. */
void vigie_tls_shutdown(struct vigie_tls_session *session);

/* Takes bytes that are to be sent to the client; 0: there are none. */
size_t vigie_tls_take(struct vigie_tls_session *session, uint8_t *buffer, size_t size);

#endif

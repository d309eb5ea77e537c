/* TLS over bytes that somebody else carries (OpenSSL with memory BIOs): one `struct tls` for each connection
 * to an upstream by TLS (RFC 7858). */
#ifndef VIGIE_FORWARD_TLS_H
#define VIGIE_FORWARD_TLS_H

#include "exchange.h"

struct tls;

struct vigie_forward_tls *tls_settings_hold(struct vigie_forward_tls *settings);

/* Whether both show and expect the same: by what their files held when they were read. NULL: there are none.
 */
bool tls_settings_same(const struct vigie_forward_tls *a, const struct vigie_forward_tls *b);

/* Makes another context, an OpenSSL SSL_CTX, show and expect the same. False when memory is out. */
bool tls_settings_apply(const struct vigie_forward_tls *settings, void *context);

enum tls_state { TLS_SHAKING, TLS_OPEN, TLS_FAILED };

/* A client's side. The server must show a certificate for the upstream's server name, or the group's, or else
 * for its address. NULL when memory is out. */
struct tls *tls_new(struct upstream *upstream, const struct vigie_forward_options *options);
void tls_free(struct tls *tls);

/* Takes bytes that came; then goes on with the handshake. */
enum tls_state tls_feed(struct tls *tls, const uint8_t *bytes, size_t length);

/* Reads what was decrypted: bytes, 0 for none (yet), -1 when the other side is done or at fault. */
int tls_read(struct tls *tls, uint8_t *bytes, size_t size);

/* Encrypts; when it is open. False: it failed. */
bool tls_write(struct tls *tls, const uint8_t *bytes, size_t length);

/* The bytes to be sent, until tls_forget_output. */
size_t tls_output(struct tls *tls, const uint8_t **bytes);
void tls_forget_output(struct tls *tls);

/* Why it failed, for people. */
const char *tls_trouble(const struct tls *tls);

#endif

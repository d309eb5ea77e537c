/* The TLS sessions of one upstream by HTTPS, of all workers: the next connection resumes one. libcurl keeps
 * them by server name and knows nothing of who was trusted for it, so upstreams share none. */
#ifndef VIGIE_FORWARD_DOH_SESSIONS_H
#define VIGIE_FORWARD_DOH_SESSIONS_H

#include <curl/curl.h>

struct doh_sessions;

/* NULL when memory is out. */
struct doh_sessions *doh_sessions_new(void);

/* No transfer may use them any more. */
void doh_sessions_free(struct doh_sessions *sessions);

void doh_sessions_use(struct doh_sessions *sessions, CURL *easy);

#endif

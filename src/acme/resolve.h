/* The address of a CA's server, asked of a given DNS server: this one may be what the system would ask. */
#ifndef VIGIE_ACME_RESOLVE_H
#define VIGIE_ACME_RESOLVE_H

#include <curl/curl.h>

#include "http.h"
#include "vigie/status.h"

/* Looks the host of `url` up at `resolver` (HOST:PORT), IPv4 before IPv6, and gives what curl takes for
 * CURLOPT_RESOLVE; the caller frees it. Nothing for a URL with an address. Ends early when `http` is stopped.
 */
enum vigie_status acme_resolve(const struct acme_http *http, const char *resolver, const char *url,
			       struct curl_slist **addresses, struct vigie_error *error);

#endif

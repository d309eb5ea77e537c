#include "http.h"

#include <curl/curl.h>
#include <limits.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "resolve.h"
#include "vigie/clock.h"

enum { TIMEOUT_S = 30, CONNECT_S = 10, POLL_MS = 1000 };

struct acme_http {
	CURLM *multi;
	const char *root;
	const char *resolver;
	struct curl_slist *headers;
	atomic_bool stopped;
};

struct acme_http *acme_http_new(const char *root, const char *resolver)
{
	struct acme_http *http = calloc(1, sizeof(*http));

	if (!http)
		return NULL;
	http->root = root;
	http->resolver = resolver;
	http->multi = curl_multi_init();
	http->headers = curl_slist_append(NULL, "Content-Type: application/jose+json");
	if (http->multi && http->headers)
		return http;
	acme_http_free(http);
	return NULL;
}

void acme_http_free(struct acme_http *http)
{
	if (!http)
		return;
	curl_multi_cleanup(http->multi);
	curl_slist_free_all(http->headers);
	free(http);
}

void acme_http_stop(struct acme_http *http)
{
	atomic_store(&http->stopped, true);
	curl_multi_wakeup(http->multi);
}

bool acme_http_stopped(const struct acme_http *http)
{
	return atomic_load(&http->stopped);
}

void acme_http_sleep(struct acme_http *http, uint64_t ms)
{
	uint64_t now = vigie_clock_ms();
	uint64_t end = now + ms;

	for (; now < end && !acme_http_stopped(http); now = vigie_clock_ms())
		curl_multi_poll(http->multi, NULL, 0, end - now < INT_MAX ? (int)(end - now) : INT_MAX, NULL);
}

void acme_reply_free(struct acme_reply *reply)
{
	vigie_buffer_fini(&reply->body);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *argument)
{
	struct acme_reply *reply = argument;

	/* Room for the zero byte is made here, so that there is always some. */
	if (vigie_buffer_reserve(&reply->body, size * count + 1) != VIGIE_OK)
		return 0;
	vigie_buffer_append(&reply->body, bytes, size * count);
	reply->body.data[reply->body.length] = 0;
	return size * count;
}

/* Copies a header's value when it is this one and fits. */
static void take(const char *line, size_t length, const char *name, char *value, size_t size)
{
	size_t at = strlen(name);

	if (length <= at || strncasecmp(line, name, at) != 0)
		return;
	while (at < length && line[at] == ' ')
		at++;
	while (length > at && (line[length - 1] == '\r' || line[length - 1] == '\n'))
		length--;
	if (length - at >= size)
		return;
	memcpy(value, line + at, length - at);
	value[length - at] = 0;
}

static size_t on_header(char *line, size_t size, size_t count, void *argument)
{
	struct acme_reply *reply = argument;
	char seconds[16] = "";

	take(line, size * count, "replay-nonce:", reply->nonce, sizeof(reply->nonce));
	take(line, size * count, "location:", reply->location, sizeof(reply->location));
	take(line, size * count, "retry-after:", seconds, sizeof(seconds));
	if (seconds[0] >= '0' && seconds[0] <= '9') /* a date counts as none */
		reply->retry_s = (unsigned)strtoul(seconds, NULL, 10);
	return size * count;
}

static CURLcode on_context(CURL *easy, void *context, void *argument)
{
	const struct acme_http *http = argument;

	return SSL_CTX_load_verify_file(context, http->root) == 1 ? CURLE_OK : CURLE_SSL_CACERT_BADFILE;
}

static CURL *make(struct acme_http *http, const char *method, const char *url, const char *body,
		  struct acme_reply *reply, char *reason)
{
	CURL *easy = curl_easy_init();

	if (!easy)
		return NULL;
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a name that is being looked up is not waited for */
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "vigie/" VIGIE_VERSION);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, reply);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, reply);
	if (http->root) {
		curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_context);
		curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, http);
	}
	if (strcmp(method, "HEAD") == 0)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	if (strcmp(method, "POST") == 0) {
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->headers);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	}
	return easy;
}

/* Until the transfer has ended, or is to. */
static CURLcode perform(struct acme_http *http)
{
	int running = 1;
	int left;
	CURLMsg *message;

	while (!acme_http_stopped(http) && curl_multi_perform(http->multi, &running) == CURLM_OK &&
	       running > 0)
		curl_multi_poll(http->multi, NULL, 0, POLL_MS, NULL);
	message = curl_multi_info_read(http->multi, &left);
	return message ? message->data.result : CURLE_ABORTED_BY_CALLBACK;
}

enum vigie_status acme_http(struct acme_http *http, const char *method, const char *url, const char *body,
			    struct acme_reply *reply, struct vigie_error *error)
{
	char reason[CURL_ERROR_SIZE] = "";
	struct curl_slist *addresses = NULL;
	enum vigie_status status = VIGIE_OK;
	CURLcode code;
	CURL *easy;

	memset(reply, 0, sizeof(*reply));
	vigie_buffer_init(&reply->body, ACME_BODY_MAX);
	if (http->resolver)
		status = acme_resolve(http, http->resolver, url, &addresses, error);
	if (status)
		return status;
	easy = make(http, method, url, body, reply, reason);
	if (!easy) {
		curl_slist_free_all(addresses);
		return vigie_error_memory(error);
	}
	curl_easy_setopt(easy, CURLOPT_RESOLVE, addresses);
	curl_multi_add_handle(http->multi, easy);
	code = perform(http);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply->status);
	curl_multi_remove_handle(http->multi, easy);
	curl_easy_cleanup(easy);
	curl_slist_free_all(addresses);
	if (code == CURLE_OK)
		return VIGIE_OK;
	return vigie_error_set(error, VIGIE_EIO, "%.256s: %s", url,
			       reason[0] ? reason : curl_easy_strerror(code));
}

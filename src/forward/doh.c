#include "doh.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doh_message.h"
#include "doh_sessions.h"
#include "tls.h"
#include "vigie/answer.h"
#include "vigie/buffer.h"
#include "vigie/curl_loop.h"

enum {
	CONNECTIONS_MAX = 4, /* of a link: one takes 100 queries by HTTP/2, but one at a time by HTTP/1.1 */
	URL_MAX = 512 + ASKED_MAX * 4 / 3
};

/* One upstream's connections: a multi handle of its own, so that no connection that was verified for one
 * group of upstreams is used for another. */
struct doh_link {
	struct carrier carrier; /* open: a response came */
	struct vigie_forward_tls *tls;
	int (*keep_session)(SSL *ssl, SSL_SESSION *session); /* curl's */
	struct vigie_curl_loop *curl;
	struct curl_slist *headers;
	struct curl_slist *connect_to;
	uv_timer_t tick;
	unsigned unheard; /* queries that were given up since the last response */
	struct doh_query *queries;
};

/* One query under way. */
struct doh_query {
	struct carried carried;
	struct doh_query *next;
	struct doh_query *previous;
	CURL *easy;
	struct vigie_buffer body;
	bool too_long;
	char trouble[CURL_ERROR_SIZE];
};

static struct doh_link *link_of(struct carrier *carrier)
{
	return (struct doh_link *)carrier; /* it stands first */
}

static void query_free(struct doh_query *query)
{
	struct doh_link *link = link_of(query->carried.carrier);

	if (query->next)
		query->next->previous = query->previous;
	if (query->previous)
		query->previous->next = query->next;
	else
		link->queries = query->next;
	carrier_drop(&link->carrier);
	curl_multi_remove_handle(vigie_curl_loop_multi(link->curl), query->easy);
	curl_easy_cleanup(query->easy);
	vigie_buffer_fini(&query->body);
	free(query);
}

static void on_tick_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void link_close(struct doh_link *link)
{
	while (link->queries) {
		link->queries->carried.attempt->handle = NULL;
		query_free(link->queries);
	}
	carrier_close(&link->carrier);
	vigie_curl_loop_close(link->curl);
	curl_slist_free_all(link->headers);
	curl_slist_free_all(link->connect_to);
	vigie_forward_tls_free(link->tls);
	carrier_fini(&link->carrier);
	uv_close((uv_handle_t *)&link->tick, on_tick_closed);
}

void doh_close(struct doh *doh)
{
	while (doh->list.first)
		link_close(link_of(doh->list.first));
}

void doh_drop(struct attempt *attempt)
{
	struct doh_query *query = attempt->handle;
	struct doh_link *link = link_of(query->carried.carrier);

	if (++link->unheard >= DOH_UNHEARD_MAX)
		link->carrier.retired = true;
	query_free(query);
}

/* So hears the attempt of a query that is over. */
static void fail(struct doh_query *query, int error, const char *why)
{
	struct attempt *attempt = query->carried.attempt;
	char reason[REASON_MAX];

	snprintf(reason, sizeof(reason), "HTTPS: %.*s", REASON_MAX - 8, why);
	attempt->handle = NULL;
	query_free(query);
	exchange_failed(attempt, error, reason);
}

/* The seconds that a cache on the way had held it (RFC 8484 section 5.1, RFC 9111 section 5.1). */
static uint32_t age_of(CURL *easy)
{
	struct curl_header *header;

	if (curl_easy_header(easy, "age", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return 0;
	return doh_read_age(header->value);
}

/* Why a whole response holds no DNS message; NULL when it does. */
static const char *find_fault(const struct doh_query *query, char *text, size_t size)
{
	const char *type = NULL;
	long status = 0;

	curl_easy_getinfo(query->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(query->easy, CURLINFO_CONTENT_TYPE, &type);
	if (status < 200 || status > 299) {
		snprintf(text, size, "HTTPS: status %ld", status);
		return text;
	}
	if (!doh_is_message(type))
		return "HTTPS: the response is no DNS message";
	return query->body.length < VIGIE_HEADER_SIZE ? "HTTPS: the response is too short" : NULL;
}

static void take_response(struct doh_query *query)
{
	struct attempt *attempt = query->carried.attempt;
	struct vigie_buffer body = query->body;
	char text[64];
	const char *fault = find_fault(query, text, sizeof(text));

	if (!fault)
		doh_age(body.data, body.length, age_of(query->easy));
	vigie_buffer_init(&query->body, VIGIE_MESSAGE_MAX);
	attempt->handle = NULL;
	query_free(query);
	if (fault || !exchange_message(attempt, body.data, body.length)) {
		/* This says as much of the upstream as a connection that cannot be made. */
		attempt->shook = true;
		exchange_failed(attempt, -EPROTO,
				fault ? fault : "HTTPS: the response does not answer the question");
	}
	vigie_buffer_fini(&body);
}

static void on_done(CURL *easy, CURLcode code)
{
	struct doh_query *query;
	struct doh_link *link;
	char why[CURL_ERROR_SIZE];
	long connects = 0;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &query);
	curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
	link = link_of(query->carried.carrier);
	if (connects > 0)
		query->carried.attempt->shook = true;
	if (code == CURLE_OK || query->too_long) {
		link->carrier.open = true;
		carrier_heard(&link->carrier);
		link->unheard = 0;
	}
	if (query->too_long) {
		query->carried.attempt->shook = true;
		fail(query, -EPROTO, "the response is too long");
	} else if (code == CURLE_OK) {
		take_response(query);
	} else {
		link->carrier.open = false;
		snprintf(why, sizeof(why), "%s",
			 query->trouble[0] ? query->trouble : curl_easy_strerror(code));
		fail(query, code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -ECONNABORTED, why);
	}
}

/* The link is of no use any more: so hear all that wait on it. */
static void link_fail(struct doh_link *link, const char *why)
{
	link->carrier.retired = true;
	link->carrier.open = false;
	while (link->queries)
		fail(link->queries, -ETIMEDOUT, why);
}

static void on_tick(uv_timer_t *tick)
{
	struct doh_link *link = tick->data;

	switch (carrier_tick(&link->carrier)) {
	case CARRIER_SILENT:
		link_fail(link, "the connection is silent");
		break;
	case CARRIER_DONE:
		link_close(link);
		break;
	case CARRIER_GOOD:
		break;
	}
}

static size_t on_body(char *bytes, size_t size, size_t count, void *argument)
{
	struct doh_query *query = argument;

	if (vigie_buffer_append(&query->body, bytes, size * count) == VIGIE_OK)
		return size * count;
	query->too_long = true;
	return 0;
}

/* Who the server must be, and where it is. */
static bool set_names(struct doh_link *link, const char *group_name, char *url, size_t size)
{
	const struct vigie_target *target = &link->carrier.upstream->target;
	const char *name = target->server_name[0] ? target->server_name : group_name;
	const char *port = strrchr(target->text, ':') + 1;
	char connect_to[sizeof(target->text) + 4];

	snprintf(connect_to, sizeof(connect_to), "::%s", target->text);
	if (!link->connect_to)
		link->connect_to = curl_slist_append(NULL, connect_to);
	if (name[0])
		snprintf(url, size,
			 strchr(name, ':') ? "https://[%s]:%s/dns-query" : "https://%s:%s/dns-query", name,
			 port);
	else
		snprintf(url, size, "https://%s/dns-query", target->text);
	return link->connect_to != NULL;
}

/* curl 7.88 frees a connection by HTTP/2 without a word to the other side, after which OpenSSL resumes its
 * session no more: curl keeps a copy. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct doh_link *link = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	SSL_SESSION *copy = SSL_SESSION_dup(session);

	if (copy && link->keep_session(ssl, copy) == 0)
		SSL_SESSION_free(copy);
	return 0; /* the session itself stays OpenSSL's */
}

static CURLcode on_context(CURL *easy, void *context, void *argument)
{
	struct doh_link *link = argument;

	link->keep_session = SSL_CTX_sess_get_new_cb(context);
	if (link->keep_session) {
		SSL_CTX_set_app_data(context, link);
		SSL_CTX_sess_set_new_cb(context, on_session);
	}
	return tls_settings_apply(link->tls, context) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

static void set_source(CURL *easy, const struct vigie_target *target, const struct sockaddr_storage *source)
{
	char text[sizeof("host!") + INET6_ADDRSTRLEN] = "host!";
	const void *address = source->ss_family == AF_INET
				      ? (const void *)&((const struct sockaddr_in *)source)->sin_addr
				      : (const void *)&((const struct sockaddr_in6 *)source)->sin6_addr;

	if (source->ss_family != target->address.ss_family)
		return;
	inet_ntop(source->ss_family, address, text + strlen(text), INET6_ADDRSTRLEN);
	curl_easy_setopt(easy, CURLOPT_INTERFACE, text);
}

static void set_options(struct doh_query *query)
{
	CURL *easy = query->easy;
	struct doh_link *link = link_of(query->carried.carrier);

	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)DOH_CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* The settings were read when the configuration was. */
	curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_context);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, link);
	doh_sessions_use(link->carrier.upstream->doh_sessions, easy);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, link->headers);
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, link->connect_to);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, query->trouble);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, query);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, query);
}

/* The question goes into the body, or into the URL, where caches on the way find it. */
static CURLcode set_question(CURL *easy, const struct attempt *attempt, bool get, char *url, size_t size)
{
	size_t length = strlen(url);

	if (!get) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)attempt->asked_length);
		curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, (const char *)attempt->asked);
	} else {
		length += (size_t)snprintf(url + length, size - length, "?dns=");
		sodium_bin2base64(url + length, size - length, attempt->asked, attempt->asked_length,
				  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	}
	return curl_easy_setopt(easy, CURLOPT_URL, url);
}

static struct doh_link *link_new(struct doh *doh, const struct attempt *attempt)
{
	const struct vigie_forward_options *options = &attempt->exchange->set->group->options;
	struct doh_link *link = calloc(1, sizeof(*link));
	struct curl_slist *headers;

	if (!link)
		return NULL;
	link->headers = curl_slist_append(NULL, "Accept: " DOH_TYPE);
	if (link->headers && !options->doh_get)
		headers = curl_slist_append(link->headers, "Content-Type: " DOH_TYPE);
	else
		headers = link->headers;
	link->curl = headers ? vigie_curl_loop_new(doh->loop, on_done) : NULL;
	if (!link->curl) {
		curl_slist_free_all(link->headers);
		free(link);
		return NULL;
	}
	curl_multi_setopt(vigie_curl_loop_multi(link->curl), CURLMOPT_MAX_HOST_CONNECTIONS,
			  (long)CONNECTIONS_MAX);
	link->tls = tls_settings_hold(options->tls);
	carrier_init(&link->carrier, &doh->list, attempt);
	uv_timer_init(doh->loop, &link->tick);
	link->tick.data = link;
	uv_timer_start(&link->tick, on_tick, CARRIER_TICK_MS, CARRIER_TICK_MS);
	return link;
}

int doh_send(struct doh *doh, struct attempt *attempt, bool again)
{
	const struct vigie_forward_options *options = &attempt->exchange->set->group->options;
	struct doh_query *query;
	struct doh_link *link;
	char url[URL_MAX];
	bool alive;
	struct carrier *carrier = carrier_pick(&doh->list, attempt, again, &alive);

	if (alive)
		return -EINPROGRESS;
	link = carrier ? link_of(carrier) : link_new(doh, attempt);
	query = link ? calloc(1, sizeof(*query)) : NULL;
	if (!query)
		return -ENOMEM;
	query->easy = curl_easy_init();
	if (!query->easy || !set_names(link, options->tls_servername, url, sizeof(url)))
		goto fail;
	attempt->asked[0] = attempt->asked[1] = 0; /* RFC 8484 section 4.1: caches are to know it again */
	query->carried.carrier = &link->carrier;
	vigie_buffer_init(&query->body, VIGIE_MESSAGE_MAX);
	set_options(query);
	set_source(query->easy, &attempt->upstream->target, &options->source);
	if (set_question(query->easy, attempt, options->doh_get, url, sizeof(url)) ||
	    curl_multi_add_handle(vigie_curl_loop_multi(link->curl), query->easy))
		goto fail;
	query->next = link->queries;
	if (query->next)
		query->next->previous = query;
	link->queries = query;
	carrier_carry(&link->carrier, &query->carried, attempt);
	return 0;

fail:
	curl_easy_cleanup(query->easy);
	free(query);
	return -ENOMEM;
}

#include "doh.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doh_message.h"
#include "tls.h"
#include "vigie/answer.h"
#include "vigie/buffer.h"
#include "vigie/clock.h"
#include "vigie/curl_loop.h"
#include "vigie/random.h"

enum {
	TICK_MS = 250,
	CONNECTIONS_MAX = 4, /* of a link: one takes 100 queries by HTTP/2, but one at a time by HTTP/1.1 */
	URL_MAX = 512 + ASKED_MAX * 4 / 3
};

/* One upstream's connections: a multi handle of its own, so that no connection that was verified for one
 * group of upstreams is used for another. */
struct doh_link {
	struct doh_link *next;
	struct doh_link *previous;
	struct doh *doh;           /* NULL: closing */
	struct upstream *upstream; /* a reference */
	struct vigie_forward_tls *tls;
	struct vigie_curl_loop *curl;
	struct curl_slist *headers;
	struct curl_slist *connect_to;
	uv_timer_t tick;
	bool open;    /* a response came */
	bool retired; /* takes no new queries */
	uint64_t heard_ms;
	uint64_t asked_ms; /* the last query, or the first of those that wait */
	uint64_t retire_ms;
	uint64_t expire_ms;
	unsigned unheard; /* queries that were given up since the last response */
	unsigned waiting;
	struct doh_query *queries;
};

/* One query under way. */
struct doh_query {
	struct doh_query *next;
	struct doh_query *previous;
	struct doh_link *link;
	struct attempt *attempt;
	CURL *easy;
	struct vigie_buffer body;
	bool too_long;
	char trouble[CURL_ERROR_SIZE];
};

static void query_free(struct doh_query *query)
{
	struct doh_link *link = query->link;

	if (query->next)
		query->next->previous = query->previous;
	if (query->previous)
		query->previous->next = query->next;
	else
		link->queries = query->next;
	link->waiting--;
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
		link->queries->attempt->handle = NULL;
		query_free(link->queries);
	}
	if (link->next)
		link->next->previous = link->previous;
	if (link->previous)
		link->previous->next = link->next;
	else
		link->doh->first = link->next;
	vigie_curl_loop_close(link->curl);
	curl_slist_free_all(link->headers);
	curl_slist_free_all(link->connect_to);
	vigie_forward_tls_free(link->tls);
	upstream_release(link->upstream);
	uv_close((uv_handle_t *)&link->tick, on_tick_closed);
}

void doh_close(struct doh *doh)
{
	while (doh->first)
		link_close(doh->first);
}

void doh_drop(struct attempt *attempt)
{
	struct doh_query *query = attempt->handle;

	if (++query->link->unheard >= DOH_UNHEARD_MAX)
		query->link->retired = true;
	query_free(query);
}

/* So hears the attempt of a query that is over. */
static void fail(struct doh_query *query, int error, const char *why)
{
	struct attempt *attempt = query->attempt;
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
	struct attempt *attempt = query->attempt;
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
	link = query->link;
	if (connects > 0)
		query->attempt->shook = true;
	if (code == CURLE_OK || query->too_long) {
		link->open = true;
		link->heard_ms = vigie_clock_ms();
		link->unheard = 0;
	}
	if (query->too_long) {
		query->attempt->shook = true;
		fail(query, -EPROTO, "the response is too long");
	} else if (code == CURLE_OK) {
		take_response(query);
	} else {
		link->open = false;
		snprintf(why, sizeof(why), "%s",
			 query->trouble[0] ? query->trouble : curl_easy_strerror(code));
		fail(query, code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -ECONNABORTED, why);
	}
}

/* The link is of no use any more: so hear all that wait on it. */
static void link_fail(struct doh_link *link, const char *why)
{
	link->retired = true;
	link->open = false;
	while (link->queries)
		fail(link->queries, -ETIMEDOUT, why);
}

static void on_tick(uv_timer_t *tick)
{
	struct doh_link *link = tick->data;
	uint64_t now = vigie_clock_ms();
	uint64_t since = link->heard_ms > link->asked_ms ? link->heard_ms : link->asked_ms;

	if (now >= link->retire_ms)
		link->retired = true;
	if (link->waiting > 0 && now - since >= DOH_SILENCE_MS)
		link_fail(link, "the connection is silent");
	if (link->waiting == 0 && (link->retired || now - since >= link->expire_ms))
		link_close(link);
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
	const struct vigie_target *target = &link->upstream->target;
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

static CURLcode on_context(CURL *easy, void *context, void *settings)
{
	return tls_settings_apply(settings, context) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
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
	struct doh_link *link = query->link;

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
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, link->tls);
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
	link->upstream = upstream_hold(attempt->upstream);
	link->tls = tls_settings_hold(options->tls);
	link->heard_ms = link->asked_ms = vigie_clock_ms();
	link->expire_ms = options->expire;
	/* Not all at once. */
	link->retire_ms = link->asked_ms + options->max_age * 3 / 4 +
			  vigie_random_below((uint32_t)(options->max_age / 2 + 1));
	link->doh = doh;
	link->next = doh->first;
	if (link->next)
		link->next->previous = link;
	doh->first = link;
	uv_timer_init(doh->loop, &link->tick);
	link->tick.data = link;
	uv_timer_start(&link->tick, on_tick, TICK_MS, TICK_MS);
	return link;
}

/* The earlier query of the same exchange that waits there. */
static const struct attempt *earlier_attempt(const struct doh_link *link, const struct exchange *exchange)
{
	for (const struct doh_query *query = link->queries; query; query = query->next) {
		if (query->attempt->exchange == exchange)
			return query->attempt;
	}
	return NULL;
}

/* As with streams: a link that takes one more query; NULL: a new one is to be made. `alive`: to ask again
 * would bring nothing. */
static struct doh_link *find_link(const struct doh *doh, const struct attempt *attempt, bool again,
				  bool *alive)
{
	*alive = false;
	for (struct doh_link *link = doh->first; link; link = link->next) {
		const struct attempt *earlier;

		if (link->upstream != attempt->upstream)
			continue;
		earlier = again ? earlier_attempt(link, attempt->exchange) : NULL;
		if (earlier && link->open && link->heard_ms * 1000 > earlier->sent_us) {
			*alive = true;
			return NULL;
		}
		if (earlier && link->open)
			link->retired = true; /* it may be dead: the kernel finds out late */
		if (!earlier && !link->retired)
			return link;
	}
	return NULL;
}

int doh_send(struct doh *doh, struct attempt *attempt, bool again)
{
	const struct vigie_forward_options *options = &attempt->exchange->set->group->options;
	struct doh_query *query;
	struct doh_link *link;
	char url[URL_MAX];
	bool alive;

	link = find_link(doh, attempt, again, &alive);
	if (alive)
		return -EINPROGRESS;
	link = link ? link : link_new(doh, attempt);
	query = link ? calloc(1, sizeof(*query)) : NULL;
	if (!query)
		return -ENOMEM;
	query->easy = curl_easy_init();
	if (!query->easy || !set_names(link, options->tls_servername, url, sizeof(url)))
		goto fail;
	attempt->asked[0] = attempt->asked[1] = 0; /* RFC 8484 section 4.1: caches are to know it again */
	query->link = link;
	query->attempt = attempt;
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
	if (link->waiting++ == 0)
		link->asked_ms = vigie_clock_ms();
	attempt->handle = query;
	attempt->shook = !link->open;
	return 0;

fail:
	curl_easy_cleanup(query->easy);
	free(query);
	return -ENOMEM;
}

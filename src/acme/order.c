#include "order.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jose.h"
#include "vigie/clock.h"

enum {
	NONCE_TRIES = 20,    /* a CA may refuse a good one now and then (RFC 8555 6.5) */
	POLL_FIRST_MS = 250, /* between looks at what the CA does; doubled each time */
	POLL_MAX_MS = 5000,
	PATIENCE_MS = 5 * 60000, /* for the CA to validate, and to issue */
	DOMAIN_MAX = 256
};

struct order {
	struct acme_http *http;
	const struct vigie_acme_options *options;
	EVP_PKEY *account;
	struct vigie_error *error;
	char nonce[ACME_NONCE_MAX];
	char kid[ACME_URL_MAX]; /* the account's URL; empty: the key itself is sent */
	json_t *directory;
	json_t *self; /* the order */
	char url[ACME_URL_MAX];
	char *thumbprint;
};

static bool no_memory(struct order *order)
{
	vigie_error_memory(order->error);
	return false;
}

/* What the CA says is wrong (RFC 7807). */
static bool refused(struct order *order, const char *what, long status, const json_t *problem)
{
	const char *type = json_string_value(json_object_get(problem, "type"));
	const char *detail = json_string_value(json_object_get(problem, "detail"));

	vigie_error_set(order->error, VIGIE_EIO, "the CA refuses %s (%ld): %.128s %.256s", what, status,
			type ? type : "", detail ? detail : "");
	return false;
}

static const char *url_in(const json_t *object, const char *name)
{
	const char *url = json_string_value(json_object_get(object, name));

	return url ? url : "";
}

static bool get_directory(struct order *order)
{
	struct acme_reply reply;
	enum vigie_status status =
		acme_http(order->http, "GET", order->options->ca, NULL, &reply, order->error);

	if (!status && reply.status == 200)
		order->directory = json_loadb((const char *)reply.body.data, reply.body.length, 0, NULL);
	if (!status && (!order->directory || !url_in(order->directory, "newOrder")[0]))
		status = vigie_error_set(order->error, VIGIE_EIO, "%.256s is no ACME directory (%ld)",
					 order->options->ca, reply.status);
	acme_reply_free(&reply);
	return status == VIGIE_OK;
}

static bool get_nonce(struct order *order)
{
	struct acme_reply reply;
	enum vigie_status status;

	if (order->nonce[0])
		return true;
	status = acme_http(order->http, "HEAD", url_in(order->directory, "newNonce"), NULL, &reply,
			   order->error);
	strcpy(order->nonce, reply.nonce);
	acme_reply_free(&reply);
	if (!status && !order->nonce[0])
		status = vigie_error_set(order->error, VIGIE_EIO, "the CA gives no nonce");
	return status == VIGIE_OK;
}

static char *sign(struct order *order, const char *url, const char *payload)
{
	json_t *header = json_pack("{s:s,s:s}", "nonce", order->nonce, "url", url);
	json_t *jwk = NULL;
	char *jws = NULL;

	order->nonce[0] = 0; /* good for once */
	if (header && order->kid[0])
		json_object_set_new(header, "kid", json_string(order->kid));
	else if (header)
		json_object_set_new(header, "jwk", jwk = jose_jwk(order->account));
	if (header && (order->kid[0] || jwk))
		jws = jose_sign(order->account, header, payload);
	json_decref(header);
	return jws;
}

static bool is_bad_nonce(const struct acme_reply *reply)
{
	return reply->status == 400 && reply->body.data &&
	       strstr((const char *)reply->body.data, "urn:ietf:params:acme:error:badNonce");
}

/* POSTs; the reply is the caller's to free when this is true. */
static bool post(struct order *order, const char *what, const char *url, const char *payload,
		 struct acme_reply *reply)
{
	for (int i = 0; i < NONCE_TRIES; i++) {
		enum vigie_status status;
		json_t *problem;
		char *jws;

		if (!get_nonce(order))
			return false;
		jws = sign(order, url, payload);
		if (!jws)
			return no_memory(order);
		status = acme_http(order->http, "POST", url, jws, reply, order->error);
		free(jws);
		strcpy(order->nonce, reply->nonce);
		if (!status && reply->status >= 200 && reply->status < 300)
			return true;
		if (!status && is_bad_nonce(reply)) {
			acme_reply_free(reply);
			continue;
		}
		problem = status || !reply->body.data
				  ? NULL
				  : json_loadb((const char *)reply->body.data, reply->body.length, 0, NULL);
		if (!status)
			refused(order, what, reply->status, problem);
		json_decref(problem);
		acme_reply_free(reply);
		return false;
	}
	vigie_error_set(order->error, VIGIE_EIO, "the CA takes no nonce");
	return false;
}

/* POSTs and gives the object that comes; NULL: `error` is set. `location` (may be NULL) gets that header's.
 */
static json_t *post_json(struct order *order, const char *what, const char *url, const json_t *payload,
			 char *location, unsigned *retry_s)
{
	char *text = payload ? json_dumps(payload, JSON_COMPACT) : strdup("");
	struct acme_reply reply;
	json_t *object = NULL;

	if (!text) {
		no_memory(order);
		return NULL;
	}
	if (post(order, what, url, text, &reply)) {
		if (reply.body.data)
			object = json_loadb((const char *)reply.body.data, reply.body.length, 0, NULL);
		if (!object)
			vigie_error_set(order->error, VIGIE_EIO, "the CA's answer to %s is no JSON", what);
		if (location)
			strcpy(location, reply.location);
		if (retry_s)
			*retry_s = reply.retry_s;
		acme_reply_free(&reply);
	}
	free(text);
	return object;
}

static bool register_account(struct order *order)
{
	json_t *payload = json_pack("{s:b}", "termsOfServiceAgreed", 1);
	json_t *account;

	if (payload && order->options->email) {
		char mailto[512];

		snprintf(mailto, sizeof(mailto), "mailto:%.400s", order->options->email);
		json_object_set_new(payload, "contact", json_pack("[s]", mailto));
	}
	account = payload ? post_json(order, "the account", url_in(order->directory, "newAccount"), payload,
				      order->kid, NULL)
			  : NULL;
	json_decref(payload);
	json_decref(account);
	if (account && !order->kid[0])
		vigie_error_set(order->error, VIGIE_EIO, "the CA gives no account URL");
	return account && order->kid[0];
}

static bool begin_order(struct order *order)
{
	json_t *payload = json_pack("{s:[]}", "identifiers");

	for (size_t i = 0; payload && i < order->options->domain_count; i++)
		json_array_append_new(
			json_object_get(payload, "identifiers"),
			json_pack("{s:s,s:s}", "type", "dns", "value", order->options->domains[i]));
	order->self = payload ? post_json(order, "the order", url_in(order->directory, "newOrder"), payload,
					  order->url, NULL)
			      : NULL;
	json_decref(payload);
	if (order->self && !order->url[0])
		vigie_error_set(order->error, VIGIE_EIO, "the CA gives no order URL");
	return order->self && order->url[0];
}

static const char *status_of(const json_t *object)
{
	const char *status = json_string_value(json_object_get(object, "status"));

	return status ? status : "";
}

/* Looks at a resource until its status is none of those two; replaces `*object`. */
static bool await(struct order *order, const char *what, const char *url, json_t **object,
		  const char *pending, const char *also)
{
	uint64_t end = vigie_clock_ms() + PATIENCE_MS;
	uint64_t pause = POLL_FIRST_MS;
	unsigned retry_s = 0;

	while (*object &&
	       (strcmp(status_of(*object), pending) == 0 || strcmp(status_of(*object), also) == 0)) {
		if (vigie_clock_ms() >= end) {
			vigie_error_set(order->error, VIGIE_ETIMEOUT, "the CA takes too long over %s", what);
			return false;
		}
		acme_http_sleep(order->http, retry_s > 0 && retry_s < 60 ? retry_s * 1000 : pause);
		pause = pause * 2 < POLL_MAX_MS ? pause * 2 : POLL_MAX_MS;
		json_decref(*object);
		*object = post_json(order, what, url, NULL, NULL, &retry_s);
	}
	return *object != NULL;
}

static const json_t *find_challenge(const json_t *authorization)
{
	const json_t *list = json_object_get(authorization, "challenges");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *challenge = json_array_get(list, i);

		if (strcmp(url_in(challenge, "type"), "dns-01") == 0)
			return challenge;
	}
	return NULL;
}

/* The record is there: the CA is told to look, and waited for. */
static bool validate(struct order *order, const char *url, const char *challenge_url, const char *domain)
{
	json_t *nothing = json_object();
	json_t *object =
		nothing ? post_json(order, "the challenge", challenge_url, nothing, NULL, NULL) : NULL;
	bool good = false;

	json_decref(nothing);
	if (!object)
		return false;
	json_decref(object);
	object = post_json(order, "the authorization", url, NULL, NULL, NULL);
	if (object && await(order, "the validation", url, &object, "pending", "processing")) {
		good = strcmp(status_of(object), "valid") == 0;
		if (!good) {
			const json_t *problem = json_object_get(find_challenge(object), "error");
			const char *detail = json_string_value(json_object_get(problem, "detail"));

			vigie_error_set(order->error, VIGIE_EIO, "the CA does not validate %s: %.256s",
					domain, detail ? detail : status_of(object));
		}
	}
	json_decref(object);
	return good;
}

/* Shows the CA that one of the domains is here. */
static bool authorize(struct order *order, const char *url)
{
	const struct vigie_acme_options *options = order->options;
	json_t *authorization = post_json(order, "the authorization", url, NULL, NULL, NULL);
	const char *domain = url_in(json_object_get(authorization, "identifier"), "value");
	const json_t *challenge = find_challenge(authorization);
	const char *token = url_in(challenge, "token");
	char name[DOMAIN_MAX + sizeof("_acme-challenge.")];
	char *answer = NULL;
	char *value = NULL;
	bool good = false;

	if (!authorization)
		return false;
	if (strcmp(status_of(authorization), "valid") == 0) {
		good = true;
	} else if (!token[0] || strlen(domain) > DOMAIN_MAX) {
		vigie_error_set(order->error, VIGIE_EIO, "the CA offers no dns-01 challenge for %.256s",
				domain);
	} else if (asprintf(&answer, "%s.%s", token, order->thumbprint) < 0 ||
		   !(value = jose_digest(answer))) {
		no_memory(order);
	} else {
		snprintf(name, sizeof(name), "_acme-challenge.%s", domain);
		options->present(options->argument, name, value);
		good = validate(order, url, url_in(challenge, "url"), domain);
		options->withdraw(options->argument, name, value);
	}
	free(answer);
	free(value);
	json_decref(authorization);
	return good;
}

static bool finalize(struct order *order, EVP_PKEY *key)
{
	char *request = jose_request(key, order->options->domains, order->options->domain_count);
	json_t *payload = request ? json_pack("{s:s}", "csr", request) : NULL;
	char url[ACME_URL_MAX];

	free(request);
	if (!payload)
		return no_memory(order);
	snprintf(url, sizeof(url), "%s", url_in(order->self, "finalize"));
	json_decref(order->self);
	order->self = post_json(order, "the request", url, payload, NULL, NULL);
	json_decref(payload);
	if (!order->self || !await(order, "the certificate", order->url, &order->self, "processing", "ready"))
		return false;
	if (strcmp(status_of(order->self), "valid") == 0)
		return true;
	return refused(order, "the certificate", 0, json_object_get(order->self, "error"));
}

static bool download(struct order *order, char **chain)
{
	struct acme_reply reply;

	if (!post(order, "the download", url_in(order->self, "certificate"), "", &reply))
		return false;
	*chain = reply.body.data ? strdup((const char *)reply.body.data) : NULL;
	acme_reply_free(&reply);
	return *chain || no_memory(order);
}

static bool run(struct order *order, EVP_PKEY *key, char **chain)
{
	const json_t *list;

	order->thumbprint = jose_thumbprint(order->account);
	if (!order->thumbprint)
		return no_memory(order);
	if (!get_directory(order) || !register_account(order) || !begin_order(order))
		return false;
	list = json_object_get(order->self, "authorizations");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *url = json_string_value(json_array_get(list, i));

		if (!url || !authorize(order, url))
			return false;
	}
	/* All are valid: it becomes ready. */
	json_decref(order->self);
	order->self = post_json(order, "the order", order->url, NULL, NULL, NULL);
	return order->self && await(order, "the order", order->url, &order->self, "pending", "pending") &&
	       finalize(order, key) && download(order, chain);
}

enum vigie_status acme_order(struct acme_http *http, const struct vigie_acme_options *options,
			     EVP_PKEY *account, EVP_PKEY *key, char **chain, struct vigie_error *error)
{
	struct order order = {.http = http, .options = options, .account = account, .error = error};
	bool good;

	vigie_error_set(error, VIGIE_EIO,
			"the CA's answer is incomplete"); /* where nothing more precise is said */
	good = run(&order, key, chain);
	json_decref(order.directory);
	json_decref(order.self);
	free(order.thumbprint);
	return good ? VIGIE_OK : VIGIE_EIO;
}

#include "client.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "vigie/buffer.h"
#include "vigie/clock.h"
#include "vigie/curl_loop.h"

enum {
	TOKEN_MAX = 65536 /* bytes of a token file */
};

struct client {
	uv_loop_t *loop;
	struct vigie_curl_loop *curl;
	struct vigie_kube_config config;
	char *token; /* owned; the last good one */
	uint64_t token_ms;
	bool token_stale;
};

struct client_request {
	struct client *client;
	CURL *easy;
	struct curl_slist *headers;
	struct curl_slist *connect_to;
	CURLU *url;
	struct vigie_buffer body; /* of an error */
	client_data *data;
	client_done *done;
	void *argument;
	bool refused; /* the data callback ended it */
	char trouble[CURL_ERROR_SIZE];
};

static void request_free(struct client_request *request)
{
	if (request->easy) {
		curl_multi_remove_handle(vigie_curl_loop_multi(request->client->curl), request->easy);
		curl_easy_cleanup(request->easy);
	}
	curl_slist_free_all(request->headers);
	curl_slist_free_all(request->connect_to);
	curl_url_cleanup(request->url);
	vigie_buffer_fini(&request->body);
	free(request);
}

static void finish(struct client_request *request, CURLcode code)
{
	struct client_result result = {.complete = code == CURLE_OK, .body = ""};
	curl_off_t retry_after = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &result.status);
	curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &retry_after);
	result.retry_after_s = (long)retry_after;
	if (code != CURLE_OK && !request->refused)
		result.trouble = request->trouble[0] ? request->trouble : curl_easy_strerror(code);
	if (request->body.length > 0 && vigie_buffer_append(&request->body, "", 1) == VIGIE_OK) {
		result.body = (const char *)request->body.data;
		result.body_length = request->body.length - 1;
	}
	request->done(request->argument, &result);
	request_free(request);
}

static void on_curl_done(CURL *easy, CURLcode code)
{
	struct client_request *request;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &request);
	finish(request, code);
}

struct client *client_new(uv_loop_t *loop, struct vigie_kube_config *config)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->curl = vigie_curl_loop_new(loop, on_curl_done);
	if (!client->curl) {
		free(client);
		return NULL;
	}
	client->loop = loop;
	client->config = *config;
	memset(config, 0, sizeof(*config));
	return client;
}

void client_disconnect(struct client *client)
{
	struct vigie_curl_loop *curl = vigie_curl_loop_new(client->loop, on_curl_done);

	if (!curl)
		return; /* the old connections are used until there is memory */
	vigie_curl_loop_close(client->curl);
	client->curl = curl;
}

void client_close(struct client *client)
{
	vigie_curl_loop_close(client->curl);
	vigie_kube_config_fini(&client->config);
	free(client->token);
	free(client);
}

void client_refresh_token(struct client *client)
{
	client->token_stale = true;
}

/* The token to send. The last good one is kept while the file cannot be read: kubelet may be replacing it. */
static const char *get_token(struct client *client)
{
	uint64_t now = vigie_clock_ms();
	struct vigie_buffer file;
	char *token;

	if (!client->config.token_file)
		return client->config.token;
	if (client->token && !client->token_stale && now - client->token_ms < CLIENT_TOKEN_MS)
		return client->token;
	vigie_buffer_init(&file, TOKEN_MAX);
	if (vigie_buffer_read_file(&file, client->config.token_file) == VIGIE_OK && file.length > 0) {
		char *text = (char *)file.data;

		text += strspn(text, " \t\r\n");
		token = strndup(text, strcspn(text, " \t\r\n"));
		if (token) {
			free(client->token);
			client->token = token;
			client->token_ms = now;
			client->token_stale = false;
		}
	}
	vigie_buffer_fini(&file);
	return client->token ? client->token : client->config.token;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *argument)
{
	struct client_request *request = argument;
	size_t length = size * count;
	long status = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) {
		size_t room = CLIENT_BODY_MAX - request->body.length;

		vigie_buffer_append(&request->body, bytes, length < room ? length : room);
		return length;
	}
	if (request->data(request->argument, bytes, length))
		return length;
	request->refused = true;
	return 0;
}

/* A peer that is gone without a word is found by TCP itself. */
static int on_socket_made(void *argument, curl_socket_t socket, curlsocktype purpose)
{
	unsigned timeout = CLIENT_USER_TIMEOUT_MS;

	setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
	return CURL_SOCKOPT_OK;
}

static void set_blob(CURL *easy, CURLoption option, const char *pem)
{
	struct curl_blob blob = {(void *)pem, strlen(pem), CURL_BLOB_COPY};

	curl_easy_setopt(easy, option, &blob);
}

static void set_tls(CURL *easy, const struct vigie_kube_config *config)
{
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* The CA may be replaced while vigie runs: curl is not to keep it. */
	curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	if (config->ca_data)
		set_blob(easy, CURLOPT_CAINFO_BLOB, config->ca_data);
	else if (config->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file);
	if (config->certificate_data)
		set_blob(easy, CURLOPT_SSLCERT_BLOB, config->certificate_data);
	else if (config->certificate_file)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, config->certificate_file);
	if (config->key_data)
		set_blob(easy, CURLOPT_SSLKEY_BLOB, config->key_data);
	else if (config->key_file)
		curl_easy_setopt(easy, CURLOPT_SSLKEY, config->key_file);
}

static bool add_header(struct client_request *request, const char *text)
{
	struct curl_slist *headers = curl_slist_append(request->headers, text);

	if (headers)
		request->headers = headers;
	return headers != NULL;
}

static bool set_authorization(struct client_request *request)
{
	const struct vigie_kube_config *config = &request->client->config;
	const char *token = get_token(request->client);
	char *header;
	bool set;

	if (!token) {
		if (config->username) {
			curl_easy_setopt(request->easy, CURLOPT_USERNAME, config->username);
			curl_easy_setopt(request->easy, CURLOPT_PASSWORD,
					 config->password ? config->password : "");
		}
		return true;
	}
	if (asprintf(&header, "Authorization: Bearer %s", token) < 0)
		return false;
	set = add_header(request, header);
	free(header);
	return set;
}

/* The server's URL and the path. With a tls_server_name the URL gets that name, which is what TLS then asks
 * for and verifies, and curl is told to connect to the real host. */
static bool set_url(struct client_request *request, const char *path)
{
	const struct vigie_kube_config *config = &request->client->config;
	size_t length = strlen(config->server);
	CURLU *parts = NULL;
	char *host = NULL;
	char *port = NULL;
	char *connect_to = NULL;
	char *url = NULL;
	bool set = false;

	while (length > 0 && config->server[length - 1] == '/')
		length--;
	if (asprintf(&url, "%.*s%s", (int)length, config->server, path) < 0)
		return false;
	if (!config->tls_server_name) {
		set = curl_easy_setopt(request->easy, CURLOPT_URL, url) == CURLE_OK;
		goto done;
	}
	parts = curl_url();
	if (!parts || curl_url_set(parts, CURLUPART_URL, url, 0) ||
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ||
	    asprintf(&connect_to, "::%s:%s", host, port) < 0)
		goto done;
	request->connect_to = curl_slist_append(NULL, connect_to);
	set = request->connect_to && !curl_url_set(parts, CURLUPART_HOST, config->tls_server_name, 0) &&
	      curl_easy_setopt(request->easy, CURLOPT_CURLU, parts) == CURLE_OK &&
	      curl_easy_setopt(request->easy, CURLOPT_CONNECT_TO, request->connect_to) == CURLE_OK;
	request->url = parts; /* curl reads it when the transfer starts */
	parts = NULL;

done:
	curl_url_cleanup(parts);
	curl_free(host);
	curl_free(port);
	free(connect_to);
	free(url);
	return set;
}

static void set_options(struct client_request *request)
{
	CURL *easy = request->easy;
	const struct vigie_kube_config *config = &request->client->config;

	set_tls(easy, config);
	if (config->proxy_url)
		curl_easy_setopt(easy, CURLOPT_PROXY, config->proxy_url);
	else
		curl_easy_setopt(easy, CURLOPT_PROXY,
				 ""); /* what the environment says is for people's tools */
	/* All requests over one connection, if the server has HTTP/2: those that come while it is made wait
	 * for it. */
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "vigie/" VIGIE_VERSION);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CLIENT_CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* Several servers may stand behind one name: each connection asks anew and chooses by chance. */
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(easy, CURLOPT_DNS_SHUFFLE_ADDRESSES, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)CLIENT_KEEPALIVE_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)CLIENT_KEEPALIVE_S);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->trouble);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
}

struct client_request *client_get(struct client *client, const char *path, const char *accept,
				  client_data *data, client_done *done, void *argument)
{
	struct client_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->client = client;
	request->data = data;
	request->done = done;
	request->argument = argument;
	vigie_buffer_init(&request->body, CLIENT_BODY_MAX + 1);
	request->easy = curl_easy_init();
	if (!request->easy || !add_header(request, accept) || !set_authorization(request) ||
	    !set_url(request, path))
		goto fail;
	set_options(request);
	if (curl_multi_add_handle(vigie_curl_loop_multi(client->curl), request->easy) == CURLM_OK)
		return request;

fail:
	request_free(request);
	return NULL;
}

bool client_is_proto(const struct client_request *request)
{
	static const char proto[] = "application/vnd.kubernetes.protobuf";
	const char *type = NULL;

	curl_easy_getinfo(request->easy, CURLINFO_CONTENT_TYPE, &type);
	return type && strncmp(type, proto, sizeof(proto) - 1) == 0;
}

bool client_is_shared(const struct client_request *request)
{
	long version = 0;

	curl_easy_getinfo(request->easy, CURLINFO_HTTP_VERSION, &version);
	return version != CURL_HTTP_VERSION_1_0 && version != CURL_HTTP_VERSION_1_1;
}

bool client_is_answered(const struct client_request *request)
{
	long status = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	return status != 0;
}

void client_cancel(struct client_request *request)
{
	request_free(request);
}

const char *client_server(const struct client *client)
{
	return client->config.server;
}

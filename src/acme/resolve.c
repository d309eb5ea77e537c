/* Not forward's resolver, which needs a loop and a group of upstreams: this thread may wait. */
#include "resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vigie/answer.h"
#include "vigie/host_port.h"
#include "vigie/random.h"
#include "vigie/record.h"
#include "vigie/reply.h"

enum {
	TRIES = 3,
	TRY_STEPS = 20, /* of a try's time */
	STEP_MS = 100,
	ENTRY_MAX = 1024, /* bytes of "HOST:PORT:ADDRESS,ADDRESS…" */
	HOST_MAX = 300
};

/* A UDP socket to the resolver; -1 when there is no way to it. */
static int open_socket(const char *resolver)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char host[HOST_MAX];
	char service[16];
	int port;
	int fd = -1;

	if (!vigie_host_port_split(resolver, host, sizeof(host), &port) || port < 0)
		return -1;
	snprintf(service, sizeof(service), "%d", port);
	if (getaddrinfo(host, service, &hints, &found))
		return -1;
	for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
		fd = socket(at->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen)) {
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(found);
	return fd;
}

/* Appends the addresses of an answer, with a comma before each but the first. */
static void take(const uint8_t *message, size_t length, uint16_t type, char *list, size_t *used, size_t size)
{
	struct vigie_record_walk walk;
	struct vigie_record record;
	char text[INET6_ADDRSTRLEN];

	vigie_record_walk_message(&walk, message, length);
	while (vigie_record_next(&walk, &record)) {
		int family = type == VIGIE_TYPE_A ? AF_INET : AF_INET6;
		size_t wrote;

		if (record.section != VIGIE_ANSWER || record.type != type ||
		    record.rdlength != (family == AF_INET ? 4 : 16))
			continue;
		inet_ntop(family, message + record.rdata, text, sizeof(text));
		wrote = (size_t)snprintf(list + *used, size - *used, "%s%s", *used > 0 ? "," : "", text);
		if (wrote >= size - *used) {
			list[*used] = 0;
			return;
		}
		*used += wrote;
	}
}

/* Asks for one type; false when no answer came. */
static bool ask(const struct acme_http *http, int fd, const struct vigie_name *name, uint16_t type,
		char *list, size_t *used, size_t size)
{
	uint8_t query[VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4];
	uint8_t reply[VIGIE_UDP_SIZE_PLAIN];
	uint16_t id = (uint16_t)vigie_random_below(UINT16_MAX + 1U);
	size_t length = vigie_query_write(query, sizeof(query), id, VIGIE_FLAG_RD, name->bytes, type,
					  VIGIE_CLASS_IN, false, false);

	for (int step = 0; step < TRIES * TRY_STEPS && !acme_http_stopped(http); step++) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (step % TRY_STEPS == 0 && send(fd, query, length, 0) < 0)
			return false;
		if (poll(&wait, 1, STEP_MS) <= 0)
			continue;
		got = recv(fd, reply, sizeof(reply), 0);
		if (got < 0)
			return false; /* nobody is there */
		if (vigie_reply_judge(query, reply, (size_t)got) != VIGIE_REPLY_GOOD)
			continue;
		take(reply, (size_t)got, type, list, used, size);
		return true;
	}
	return false;
}

static enum vigie_status look_up(const struct acme_http *http, const char *resolver, const char *host,
				 const char *port, struct curl_slist **addresses, struct vigie_error *error)
{
	char list[ENTRY_MAX] = "";
	char entry[ENTRY_MAX + HOST_MAX + 16];
	struct vigie_name name;
	size_t used = 0;
	bool answered;
	int fd;

	if (vigie_name_from_text(&name, host) != VIGIE_OK)
		return vigie_error_set(error, VIGIE_EINVAL, "'%.256s' is no host name", host);
	fd = open_socket(resolver);
	if (fd < 0)
		return vigie_error_set(error, VIGIE_EIO, "the resolver '%s' cannot be asked", resolver);
	answered = ask(http, fd, &name, VIGIE_TYPE_A, list, &used, sizeof(list)) &&
		   ask(http, fd, &name, VIGIE_TYPE_AAAA, list, &used, sizeof(list));
	close(fd);
	if (used == 0)
		return vigie_error_set(error, VIGIE_EIO, "the resolver '%s' %s '%.256s'", resolver,
				       answered ? "knows no address of" : "does not answer for", host);
	snprintf(entry, sizeof(entry), "%.256s:%s:%s", host, port, list);
	*addresses = curl_slist_append(NULL, entry);
	return *addresses ? VIGIE_OK : vigie_error_memory(error);
}

enum vigie_status acme_resolve(const struct acme_http *http, const char *resolver, const char *url,
			       struct curl_slist **addresses, struct vigie_error *error)
{
	CURLU *parts = curl_url();
	char *host = NULL;
	char *port = NULL;
	uint8_t address[16];
	enum vigie_status status = VIGIE_OK;

	if (!parts || curl_url_set(parts, CURLUPART_URL, url, 0) ||
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
		status = vigie_error_set(error, VIGIE_EINVAL, "'%.256s' is no URL", url);
	else if (host[0] != '[' && inet_pton(AF_INET, host, address) != 1)
		status = look_up(http, resolver, host, port, addresses, error);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parts);
	return status;
}

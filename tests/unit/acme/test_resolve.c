/* The address of a CA's server, asked of a resolver beside which somebody forges replies. */
#include "resolve.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "vigie/answer.h"
#include "vigie/bytes.h"
#include "vigie/query.h"
#include "vigie/record.h"

enum { TTL = 60 };

static int server;
static char resolver[32];

static struct sockaddr_in client;

/* Sends the query back as its reply, with one address. */
static void reply(const uint8_t *query, size_t length, bool good)
{
	uint16_t type = read_u16(query + length - 4);
	size_t size = type == VIGIE_TYPE_A ? 4 : 16;
	uint8_t message[VIGIE_UDP_SIZE_PLAIN];
	uint8_t *end = message + length;

	memcpy(message, query, length);
	message[2] |= VIGIE_FLAG_QR >> 8;
	message[7] = 1; /* answers */
	end = mempcpy(end, "\xc0\x0c", 2);
	end = mempcpy(end, query + length - 4, 4); /* type and class */
	end = mempcpy(end, (const uint8_t[]){0, 0, 0, TTL, 0, (uint8_t)size}, 6);
	memset(end, 0, size);
	end[0] = size == 4 ? 127 : 0;
	end[size - 1] = good ? 1 : 66;
	end += size;
	sendto(server, message, (size_t)(end - message), 0, (struct sockaddr *)&client, sizeof(client));
}

static void *serve(void *argument)
{
	uint16_t type = 0;

	while (type != VIGIE_TYPE_AAAA) { /* the last one; each may be asked again by an impatient client */
		uint8_t query[VIGIE_UDP_SIZE_PLAIN];
		socklen_t size = sizeof(client);
		ssize_t got = recvfrom(server, query, sizeof(query), 0, (struct sockaddr *)&client, &size);
		uint8_t forged[VIGIE_UDP_SIZE_PLAIN];

		if (got < VIGIE_HEADER_SIZE)
			break;
		type = read_u16(query + got - 4);
		memcpy(forged, query, (size_t)got);
		forged[1] ^= 1; /* another id */
		reply(forged, (size_t)got, false);
		memcpy(forged, query, (size_t)got);
		forged[VIGIE_HEADER_SIZE + 1] ^= 1; /* another name */
		reply(forged, (size_t)got, false);
		sendto(server, query, (size_t)got, 0, (struct sockaddr *)&client, sizeof(client));
		reply(query, (size_t)got, true);
	}
	return NULL;
}

static void test_only_the_reply_is_taken(void **state)
{
	struct acme_http *http = acme_http_new(NULL, NULL);
	struct curl_slist *addresses = NULL;
	struct vigie_error error = {""};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
	assert_int_equal(acme_resolve(http, resolver, "https://ca.test/dir", &addresses, &error), VIGIE_OK);
	assert_string_equal(addresses->data, "ca.test:443:127.0.0.1,::1");
	assert_null(addresses->next);
	curl_slist_free_all(addresses);
	pthread_join(thread, NULL);
	acme_http_free(http);
}

static void test_an_address_is_not_looked_up(void **state)
{
	struct acme_http *http = acme_http_new(NULL, NULL);
	struct curl_slist *addresses = NULL;

	assert_int_equal(acme_resolve(http, "none", "https://127.0.0.1/", &addresses, NULL), VIGIE_OK);
	assert_int_equal(acme_resolve(http, "none", "https://[::1]/", &addresses, NULL), VIGIE_OK);
	assert_null(addresses);
	assert_int_equal(acme_resolve(http, "none", "https://ca.test/", &addresses, NULL), VIGIE_EIO);
	acme_http_free(http);
}

static int make_server(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (server < 0 || bind(server, (struct sockaddr *)&address, size) ||
	    getsockname(server, (struct sockaddr *)&address, &size))
		return -1;
	snprintf(resolver, sizeof(resolver), "127.0.0.1:%u", ntohs(address.sin_port));
	return 0;
}

static int close_server(void **state)
{
	return close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_the_reply_is_taken),
		cmocka_unit_test(test_an_address_is_not_looked_up),
	};

	return cmocka_run_group_tests(tests, make_server, close_server);
}

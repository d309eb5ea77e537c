#include "host_port.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "vigie/host_port.h"

enum { PORT_DNS = 53 };

enum vigie_status host_port_from_word(union host_port *address, const struct vigie_word *word,
				      struct vigie_error *error)
{
	char host[INET6_ADDRSTRLEN];
	int port;

	memset(address, 0, sizeof(*address));
	if (!vigie_host_port_split(word->text, host, sizeof(host), &port) || port == 0)
		host[0] = 0;
	if (port < 0)
		port = PORT_DNS;
	if (inet_pton(AF_INET, host, &address->v4.sin_addr) == 1) {
		address->v4.sin_family = AF_INET;
		address->v4.sin_port = htons((uint16_t)port);
		return VIGIE_OK;
	}
	if (inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1) {
		address->v6.sin6_family = AF_INET6;
		address->v6.sin6_port = htons((uint16_t)port);
		return VIGIE_OK;
	}
	return vigie_word_error(error, word, "'%s' is no IP address, nor one with a port", word->text);
}

socklen_t host_port_length(const union host_port *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
}

char *host_port_to_text(const union host_port *address, char *text)
{
	char host[INET6_ADDRSTRLEN];

	if (address->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host));
		snprintf(text, HOST_PORT_TEXT_MAX, "%s:%u", host, ntohs(address->v4.sin_port));
	} else {
		inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host));
		snprintf(text, HOST_PORT_TEXT_MAX, "[%s]:%u", host, ntohs(address->v6.sin6_port));
	}
	return text;
}

/* The v4 address of a client, also of one that a v6 socket shows; NULL when it has none. */
static const void *v4_of(const struct sockaddr *client)
{
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)client)->sin6_addr;

	if (client->sa_family == AF_INET)
		return &((const struct sockaddr_in *)(const void *)client)->sin_addr;
	return IN6_IS_ADDR_V4MAPPED(v6) ? v6->s6_addr + 12 : NULL;
}

bool host_port_is_host(const union host_port *address, const struct sockaddr *client)
{
	const void *v4 = v4_of(client);

	if (address->any.sa_family == AF_INET)
		return v4 && memcmp(v4, &address->v4.sin_addr, 4) == 0;
	return !v4 && memcmp(&((const struct sockaddr_in6 *)(const void *)client)->sin6_addr,
			     &address->v6.sin6_addr, 16) == 0;
}

const char *host_text(const struct sockaddr *client, char *text)
{
	const void *v4 = v4_of(client);

	return inet_ntop(v4 ? AF_INET : AF_INET6,
			 v4 ? v4 : &((const struct sockaddr_in6 *)(const void *)client)->sin6_addr, text,
			 HOST_PORT_TEXT_MAX);
}

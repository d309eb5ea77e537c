#include "host_port.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_port(const char *text, uint16_t *port)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || number == 0 || number > UINT16_MAX)
		return false;
	*port = (uint16_t)number;
	return true;
}

/* Splits HOST[:PORT]; `host` has room for the longest address. */
static bool split(const char *text, char host[INET6_ADDRSTRLEN], uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	size_t length = strlen(text);

	*port = 53;
	if (text[0] == '[') {
		const char *bracket = strchr(text, ']');

		if (!bracket || (bracket[1] && (bracket[1] != ':' || !read_port(bracket + 2, port))))
			return false;
		text++;
		length = (size_t)(bracket - text);
	} else if (colon && strchr(text, ':') == colon) {
		if (!read_port(colon + 1, port))
			return false;
		length = (size_t)(colon - text);
	}
	if (length >= INET6_ADDRSTRLEN)
		return false;
	memcpy(host, text, length);
	host[length] = 0;
	return true;
}

enum vigie_status host_port_from_word(union host_port *address, const struct vigie_word *word,
				      struct vigie_error *error)
{
	char host[INET6_ADDRSTRLEN];
	uint16_t port;

	memset(address, 0, sizeof(*address));
	if (!split(word->text, host, &port))
		return vigie_word_error(error, word, "'%s' is no IP address, nor one with a port",
					word->text);
	if (inet_pton(AF_INET, host, &address->v4.sin_addr) == 1) {
		address->v4.sin_family = AF_INET;
		address->v4.sin_port = htons(port);
		return VIGIE_OK;
	}
	if (inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1) {
		address->v6.sin6_family = AF_INET6;
		address->v6.sin6_port = htons(port);
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

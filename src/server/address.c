#include "address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

enum vigie_status address_from_text(union address *address, const char *text, uint16_t port)
{
	char host[INET6_ADDRSTRLEN];
	const char *scope = strchr(text, '%');
	size_t length = scope ? (size_t)(scope - text) : strlen(text);

	memset(address, 0, sizeof(*address));
	if (length >= sizeof(host))
		return VIGIE_EINVAL;
	memcpy(host, text, length);
	host[length] = 0;
	if (!scope && inet_pton(AF_INET, host, &address->v4.sin_addr) == 1) {
		address->v4.sin_family = AF_INET;
		address->v4.sin_port = htons(port);
		return VIGIE_OK;
	}
	if (inet_pton(AF_INET6, host, &address->v6.sin6_addr) != 1)
		return VIGIE_EINVAL;
	address->v6.sin6_family = AF_INET6;
	address->v6.sin6_port = htons(port);
	if (scope) {
		address->v6.sin6_scope_id = if_nametoindex(scope + 1);
		if (address->v6.sin6_scope_id == 0)
			return VIGIE_EINVAL;
	}
	return VIGIE_OK;
}

void address_set_wildcard(union address *address, uint16_t port)
{
	memset(address, 0, sizeof(*address));
	address->v6.sin6_family = AF_INET6;
	address->v6.sin6_port = htons(port);
}

bool address_is_wildcard(const union address *address)
{
	if (address->any.sa_family == AF_INET)
		return address->v4.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr);
}

char *address_to_text(const union address *address, char *text)
{
	char host[INET6_ADDRSTRLEN];
	char scope[1 + IF_NAMESIZE] = "";

	if (address->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host));
		snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(address->v4.sin_port));
		return text;
	}
	inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host));
	if (address->v6.sin6_scope_id != 0) {
		scope[0] = '%';
		if (!if_indextoname(address->v6.sin6_scope_id, scope + 1))
			snprintf(scope + 1, IF_NAMESIZE, "%u", address->v6.sin6_scope_id);
	}
	snprintf(text, ADDRESS_TEXT_MAX, "[%s%s]:%u", host, scope, ntohs(address->v6.sin6_port));
	return text;
}

socklen_t address_length(const union address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
}

bool address_same_host(const union address *a, const union address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0 &&
	       a->v6.sin6_scope_id == b->v6.sin6_scope_id;
}

bool address_equal(const union address *a, const union address *b)
{
	return address_same_host(a, b) &&
	       a->v6.sin6_port == b->v6.sin6_port; /* the port stands in one place */
}

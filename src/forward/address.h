/* Socket addresses of either family. */
#ifndef VIGIE_FORWARD_ADDRESS_H
#define VIGIE_FORWARD_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>

static inline socklen_t address_length(const struct sockaddr *address)
{
	return address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static inline void address_set_port(struct sockaddr *address, uint16_t port)
{
	if (address->sa_family == AF_INET)
		((struct sockaddr_in *)address)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)address)->sin6_port = htons(port);
}

#endif

/* Socket addresses of the two families that DNS is served on. */
#ifndef VIGIE_SERVER_ADDRESS_H
#define VIGIE_SERVER_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "vigie/status.h"

enum {
	ADDRESS_TEXT_MAX = 72 /* bytes of "[v6%scope]:port" with its terminator */
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* "10.0.0.1", "fd00::1", "fe80::1%eth0"; VIGIE_EINVAL otherwise. */
enum vigie_status address_from_text(union address *address, const char *text, uint16_t port);

/* "[::]:PORT": both families where the kernel has them. */
void address_set_wildcard(union address *address, uint16_t port);
bool address_is_wildcard(const union address *address);

/* "10.0.0.1:53", "[fd00::1]:53", "[fe80::1%eth0]:53". Returns `text`, which holds ADDRESS_TEXT_MAX bytes. */
char *address_to_text(const union address *address, char *text);

socklen_t address_length(const union address *address);
bool address_equal(const union address *a, const union address *b);

/* The same host, whatever the port; a v4-mapped address is not the v4 one: a socket sees a client in one
 * form. */
bool address_same_host(const union address *a, const union address *b);

#endif

/* IP addresses of clients and the networks that they are in. */
#ifndef VIGIE_DIRECTIVES_NETWORK_H
#define VIGIE_DIRECTIVES_NETWORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "vigie/status.h"

struct network {
	uint8_t address[16]; /* v4 mapped into v6, network byte order */
	uint8_t bits;        /* of these 16 bytes that count: 96 and more for v4 */
	bool v4;             /* else it holds no v4 address, not even with 0 bits */
};

/* "10.0.0.0/8", "fd00::/8", or one address. VIGIE_EINVAL otherwise. Bits behind the prefix are ignored. */
enum vigie_status network_from_text(struct network *network, const char *text);

/* `address` as network_address writes it. */
bool network_contains(const struct network *network, const uint8_t address[16]);

/* A socket address' host, v4 mapped into v6. */
void network_address(const struct sockaddr *from, uint8_t address[16]);
bool network_address_is_v4(const uint8_t address[16]);

/* A socket address' port, in network byte order. */
uint16_t network_port(const struct sockaddr *from);

#endif

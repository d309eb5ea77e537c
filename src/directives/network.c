#include "network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

enum vigie_status network_from_text(struct network *network, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	char host[INET6_ADDRSTRLEN];
	unsigned long most;
	unsigned long bits;

	if (length >= sizeof(host))
		return VIGIE_EINVAL;
	memcpy(host, text, length);
	host[length] = 0;
	memcpy(network->address, mapped, sizeof(mapped));
	network->v4 = inet_pton(AF_INET, host, network->address + 12) == 1;
	if (!network->v4 && inet_pton(AF_INET6, host, network->address) != 1)
		return VIGIE_EINVAL;
	most = bits = network->v4 ? 32 : 128;
	if (slash) {
		char *end;

		if (slash[1] < '0' || slash[1] > '9')
			return VIGIE_EINVAL;
		bits = strtoul(slash + 1, &end, 10);
		if (*end || bits > most)
			return VIGIE_EINVAL;
	}
	network->bits = (uint8_t)(bits + 128 - most);
	if (network->bits >= 96 && network_address_is_v4(network->address))
		network->v4 = true; /* spelled as a mapped one */
	return VIGIE_OK;
}

bool network_contains(const struct network *network, const uint8_t address[16])
{
	size_t bytes = network->bits / 8;
	unsigned rest = network->bits % 8;

	if (network->v4 != network_address_is_v4(address) || memcmp(network->address, address, bytes) != 0)
		return false;
	return rest == 0 || (network->address[bytes] ^ address[bytes]) >> (8 - rest) == 0;
}

void network_address(const struct sockaddr *from, uint8_t address[16])
{
	if (from->sa_family == AF_INET) {
		memcpy(address, mapped, sizeof(mapped));
		memcpy(address + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
	} else {
		memcpy(address, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
	}
}

bool network_address_is_v4(const uint8_t address[16])
{
	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

uint16_t network_port(const struct sockaddr *from)
{
	return from->sa_family == AF_INET ? ((const struct sockaddr_in *)from)->sin_port
					  : ((const struct sockaddr_in6 *)from)->sin6_port;
}

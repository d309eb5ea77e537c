#include "address.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "vigie/name.h"

enum vigie_status vigie_address_from_text(struct vigie_address *address, const char *text)
{
	uint8_t v4[4];

	/* Neither form takes a zone id, and inet_pton refuses leading zeros in a v4 octet. */
	if (inet_pton(AF_INET, text, v4) == 1) {
		address_from_v4(address->bytes, v4);
		return VIGIE_OK;
	}
	return inet_pton(AF_INET6, text, address->bytes) == 1 ? VIGIE_OK : VIGIE_EINVAL;
}

bool vigie_address_is_v4(const struct vigie_address *address)
{
	return address_is_v4(address->bytes);
}

static uint8_t *write_octet(uint8_t *at, unsigned value)
{
	if (value >= 100)
		*at++ = (uint8_t)('0' + value / 100);
	if (value >= 10)
		*at++ = (uint8_t)('0' + value / 10 % 10);
	*at++ = (uint8_t)('0' + value % 10);
	return at;
}

size_t vigie_address_to_label(const uint8_t *address, uint8_t *label)
{
	uint8_t *at = label + 1;

	if (address_is_v4(address)) {
		for (size_t i = 12; i < 16; i++) {
			if (i > 12)
				*at++ = '-';
			at = write_octet(at, address[i]);
		}
	} else {
		char text[INET6_ADDRSTRLEN];

		inet_ntop(AF_INET6, address, text, sizeof(text));
		/* The C library writes ::/96 with a dotted end, which RFC 5952 and Kubernetes do not. */
		if (strchr(text, '.'))
			snprintf(text, sizeof(text), "::%x:%x", (unsigned)(address[12] << 8 | address[13]),
				 (unsigned)(address[14] << 8 | address[15]));
		for (const char *from = text; *from; from++)
			*at++ = *from == ':' ? '-' : (uint8_t)*from;
		if (at[-1] == '-')
			*at++ = '0';
	}
	label[0] = (uint8_t)(at - label - 1);
	return (size_t)(at - label);
}

/* Reads a label's hexadecimal digits with '-' for `separator`. */
static bool read_label(int family, char separator, const uint8_t *label, void *out)
{
	char text[VIGIE_LABEL_MAX + 1];
	size_t length = label[0];

	for (size_t i = 0; i < length; i++) {
		uint8_t byte = label[1 + i];

		if (byte == '-')
			text[i] = separator;
		else if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f'))
			text[i] = (char)byte;
		else
			return false;
	}
	text[length] = 0;
	return inet_pton(family, text, out) == 1;
}

bool vigie_address_from_pod_label(uint8_t *address, const uint8_t *label)
{
	unsigned dashes = 0;
	bool doubled = false;
	uint8_t v4[4];

	for (size_t i = 1; i <= label[0]; i++) {
		if (label[i] != '-')
			continue;
		dashes++;
		doubled = doubled || (i > 1 && label[i - 1] == '-');
	}
	if (dashes != 3 || doubled)
		return read_label(AF_INET6, ':', label, address);
	if (!read_label(AF_INET, '.', label, v4))
		return false;
	address_from_v4(address, v4);
	return true;
}

bool vigie_address_from_label(uint8_t *address, const uint8_t *label)
{
	uint8_t canonical[ADDRESS_LABEL_MAX];

	/* The '0' behind a final '-' reads as one more group of zeros, which "::" swallows: no special case.
	 */
	if (!vigie_address_from_pod_label(address, label))
		return false;
	vigie_address_to_label(address, canonical);
	return memcmp(canonical, label, 1U + label[0]) == 0;
}

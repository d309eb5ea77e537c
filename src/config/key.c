#include "token.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum {
	TLS_PORT = 853 /* RFC 7858 section 3.1 */
};

static bool is_number(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 && text[digits] == 0;
}

/* A decimal number of few digits; `most` when it has more. */
static unsigned read_small(const char *text, unsigned most)
{
	unsigned number = 0;

	for (; *text && number < most; text++)
		number = number * 10 + (unsigned)(*text - '0');
	return number < most ? number : most;
}

/* A network, cut into what its reverse names have as labels: octets for IPv4, nibbles for IPv6. */
struct network {
	uint8_t digits[32];
	unsigned digit_bits;
	unsigned prefix;
};

/* VIGIE_EINVAL when the text before the '/' is no address, VIGIE_ENOSPC when the prefix is too long. */
static enum vigie_status read_network(struct network *network, const char *text)
{
	const char *slash = strrchr(text, '/');
	char address[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	unsigned bits;

	if ((size_t)(slash - text) >= sizeof(address))
		return VIGIE_EINVAL;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = 0;
	if (inet_pton(AF_INET, address, network->digits) == 1) {
		network->digit_bits = 8;
		bits = 32;
	} else if (inet_pton(AF_INET6, address, bytes) == 1) {
		network->digit_bits = 4;
		bits = 128;
		for (size_t i = 0; i < sizeof(bytes); i++) {
			network->digits[i * 2] = bytes[i] >> 4;
			network->digits[i * 2 + 1] = bytes[i] & 0x0f;
		}
	} else {
		return VIGIE_EINVAL;
	}
	network->prefix = read_small(slash + 1, 1000);
	return network->prefix <= bits ? VIGIE_OK : VIGIE_ENOSPC;
}

/* The reverse zones of a network: one when the prefix ends between labels, else one for each value that the
 * last label may have. Host bits are ignored. */
static void reverse_zones(const struct network *network, struct vigie_name *zones, size_t *count)
{
	unsigned labels = (network->prefix + network->digit_bits - 1) / network->digit_bits;
	unsigned spare = labels * network->digit_bits - network->prefix;

	*count = (size_t)1 << spare;
	for (unsigned i = 0; i < *count; i++) {
		char text[VIGIE_NAME_TEXT_MAX];
		size_t length = 0;

		for (unsigned label = labels; label > 0; label--) {
			unsigned digit = network->digits[label - 1];

			if (label == labels)
				digit = (digit >> spare << spare) | i;
			length += (size_t)sprintf(text + length, network->digit_bits == 8 ? "%u." : "%x.",
						  digit);
		}
		strcpy(text + length, network->digit_bits == 8 ? "in-addr.arpa" : "ip6.arpa");
		vigie_name_from_text(&zones[i], text); /* cannot fail: at most 74 bytes */
	}
}

/* `text` is the part of the word that is to be a zone. */
static enum vigie_status read_zones(const struct vigie_word *word, const char *text, struct vigie_name *zones,
				    size_t *count, struct vigie_error *error)
{
	const char *slash = strrchr(text, '/');
	struct network network;
	enum vigie_status status;

	/* A '/' may stand within a name (RFC 2317: "0/25.2.0.192.in-addr.arpa"), but no top-level domain has
	 * one. */
	if (slash && is_number(slash + 1)) {
		status = read_network(&network, text);
		if (status == VIGIE_EINVAL)
			return vigie_word_error(
				error, word,
				"'%s' is not a network: it takes an address and a prefix length, "
				"such as 10.0.0.0/24 or 2001:db8::/32",
				word->text);
		if (status)
			return vigie_word_error(error, word, "'%s': the prefix length '%s' is above %u",
						word->text, slash + 1, network.digit_bits == 8 ? 32U : 128U);
		reverse_zones(&network, zones, count);
		return VIGIE_OK;
	}
	if (strchr(text, ':'))
		return vigie_word_error(
			error, word,
			"'%s' is not a zone: a ':' may only stand before the port of a server block and "
			"in an IPv6 network with its prefix length, such as 2001:db8::/32",
			word->text);
	if (vigie_name_from_text(&zones[0], text))
		return vigie_word_error(
			error, word,
			"'%s' is not a zone: a name has labels of 1 to %d bytes and at most %d in all",
			word->text, VIGIE_LABEL_MAX, VIGIE_NAME_MAX);
	*count = 1;
	return VIGIE_OK;
}

enum vigie_status vigie_zones_from_word(const struct vigie_word *word, struct vigie_name *zones,
					size_t *count, struct vigie_error *error)
{
	return read_zones(word, word->text, zones, count, error);
}

/* Reads the transport before "://" and returns where the rest begins; NULL when it is none of ours. */
static const char *read_transport(const char *text, enum vigie_transport *transport)
{
	*transport = VIGIE_TRANSPORT_DNS;
	if (!strstr(text, "://"))
		return text;
	if (strncmp(text, "dns://", 6) == 0)
		return text + 6;
	*transport = VIGIE_TRANSPORT_TLS;
	return strncmp(text, "tls://", 6) == 0 ? text + 6 : NULL;
}

enum vigie_status vigie_key_read(struct vigie_arena *arena, const struct vigie_word *word,
				 uint16_t default_port, struct vigie_key *key, struct vigie_name *zones,
				 size_t *zone_count, struct vigie_error *error)
{
	const char *text = read_transport(word->text, &key->transport);
	const char *colon;
	const char *slash;
	const char *zone;
	enum vigie_status status;
	unsigned port;

	if (!text)
		return vigie_word_error(error, word,
					"'%s': this transport is not supported, only dns:// and tls:// are",
					word->text);
	colon = strrchr(text, ':');
	slash = strrchr(text, '/');
	if (colon && slash && colon < slash)
		colon = NULL; /* of an IPv6 network */
	if (!colon && !text[0])
		return vigie_word_error(error, word, "'%s' has no zone: write '.' for the root", word->text);
	zone = vigie_arena_strndup(arena, text, colon ? (size_t)(colon - text) : strlen(text));
	if (!zone)
		return vigie_error_set(error, VIGIE_ENOMEM, "%s: out of memory", word->file);
	status = read_zones(word, zone[0] ? zone : ".", zones, zone_count, error);
	if (status)
		return status;
	key->word = *word;
	key->port = key->transport == VIGIE_TRANSPORT_TLS ? TLS_PORT : default_port;
	if (!colon)
		return VIGIE_OK;
	port = is_number(colon + 1) ? read_small(colon + 1, UINT16_MAX + 1) : 0;
	if (port == 0 || port > UINT16_MAX)
		return vigie_word_error(error, word,
					"'%s': '%s' is not a port, which is a number from 1 to %d",
					word->text, colon + 1, UINT16_MAX);
	key->port = (uint16_t)port;
	return VIGIE_OK;
}

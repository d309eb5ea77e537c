/* Packets for the tests of wire: put together piece by piece, and lent in memory of exactly their size, so
 * that the address sanitizer sees a read beyond the end. */
#ifndef VIGIE_TEST_PACKET_H
#define VIGIE_TEST_PACKET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vigie/query.h"

/* The bytes of a string literal, and how many: its final zero is not one of them. */
#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

/* A question for example.org, type A, class IN, as it was asked: in mixed case. */
#define QUESTION                                                                                             \
	"\7eXaMpLe\3ORG\0"                                                                                   \
	"\0\1\0\1"
#define QUESTION_LENGTH (sizeof(QUESTION) - 1)

/* OPT: 1,232 bytes, version 0, DO, no options. */
#define OPT_DO "\0\0\x29\4\xd0\0\0\x80\0\0\0"
/* The same without DO. */
#define OPT_PLAIN "\0\0\x29\4\xd0\0\0\0\0\0\0"

struct packet {
	size_t length;
	uint8_t bytes[70000];
};

static inline void put(struct packet *packet, const uint8_t *bytes, size_t length)
{
	assert_true(length <= sizeof(packet->bytes) - packet->length);
	memcpy(packet->bytes + packet->length, bytes, length);
	packet->length += length;
}

static inline void put_u16(struct packet *packet, unsigned value)
{
	const uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

	put(packet, bytes, sizeof(bytes));
}

static inline void put_fill(struct packet *packet, uint8_t byte, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put(packet, &byte, 1);
}

/* Begins a packet with a header of id 0x1234. */
static inline void put_header(struct packet *packet, unsigned flags, unsigned questions, unsigned answers,
			      unsigned authorities, unsigned additionals)
{
	packet->length = 0;
	put_u16(packet, 0x1234);
	put_u16(packet, flags);
	put_u16(packet, questions);
	put_u16(packet, answers);
	put_u16(packet, authorities);
	put_u16(packet, additionals);
}

/* A record's fields behind its owner, class IN, TTL 30. */
static inline void put_fixed(struct packet *packet, unsigned type, unsigned rdlength)
{
	put_u16(packet, type);
	put(packet, BYTES("\0\1\0\0\0\36"));
	put_u16(packet, rdlength);
}

/* A copy in memory of exactly that size, to be freed by the caller. */
static inline uint8_t *exact(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length);

	assert_true(copy || length == 0);
	if (length > 0)
		memcpy(copy, bytes, length);
	return copy;
}

/* Parses a copy of exactly that size. `query->packet` is the caller's `bytes` afterwards. */
static inline enum vigie_gate parse_exact(struct vigie_query *query, const uint8_t *bytes, size_t length)
{
	uint8_t *copy = exact(bytes, length);
	enum vigie_gate gate = vigie_query_parse(query, copy, length);

	free(copy);
	query->packet = bytes;
	return gate;
}

static inline enum vigie_gate parse(struct vigie_query *query, const struct packet *packet)
{
	return parse_exact(query, packet->bytes, packet->length);
}

#endif

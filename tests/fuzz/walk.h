/* What every message that leaves must be, whatever came in. */
#ifndef VIGIE_FUZZ_WALK_H
#define VIGIE_FUZZ_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vigie/query.h"
#include "vigie/answer.h"

static inline void require(bool condition)
{
	if (!condition)
		__builtin_trap();
}

static inline uint16_t read_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* Bytes in memory of exactly their size: ASan sees a read behind them. */
static inline uint8_t *exact(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	require(copy);
	memcpy(copy, bytes, length);
	return copy;
}

/* The offset behind a name. `ours`: we wrote it, so its pointer leads backwards to behind the header. */
static inline size_t walk_name(const uint8_t *message, size_t length, size_t at, bool ours)
{
	size_t start = at;

	for (;;) {
		require(at < length);
		if (message[at] >= 0xc0) {
			size_t target = read_u16(message + at) & 0x3fffU;

			require(at + 2 <= length);
			require(!ours || (target < start && target >= VIGIE_HEADER_SIZE));
			return at + 2;
		}
		require(message[at] <= VIGIE_LABEL_MAX);
		if (message[at] == 0)
			return at + 1;
		at += 1U + message[at];
	}
}

/* Walks through an answer: its counts are what is there, nothing trails, one OPT at most and at its end. */
static inline void walk(const struct vigie_query *query, const uint8_t *message, size_t length, bool ours)
{
	size_t question = vigie_query_question_length(query);
	size_t at = VIGIE_HEADER_SIZE + question;
	bool opt = false;

	require(length >= at && read_u16(message) == query->id && read_u16(message + 4) == 1);
	require((read_u16(message + 2) & 0xf910) == (VIGIE_FLAG_QR | (query->flags & 0x7910)));
	require(memcmp(message + VIGIE_HEADER_SIZE, query->packet + VIGIE_HEADER_SIZE, question) == 0);
	for (size_t section = 0; section < VIGIE_SECTIONS; section++) {
		for (unsigned i = read_u16(message + 6 + 2 * section); i > 0; i--) {
			require(!opt);
			at = walk_name(message, length, at, ours);
			require(length - at >= 10);
			opt = read_u16(message + at) == VIGIE_TYPE_OPT;
			at += 10U + read_u16(message + at + 8);
			require(at <= length);
		}
	}
	require(at == length && opt == query->edns);
}

/* The reply that `data` makes of a query: its flags (2 bytes), three counts (6), and all behind the question,
 * which is the query's, as the id is. To be freed. */
static inline uint8_t *assemble_reply(const struct vigie_query *query, const uint8_t *data, size_t size,
				      size_t *length)
{
	size_t question = vigie_query_question_length(query);
	uint8_t *reply;

	*length = VIGIE_HEADER_SIZE + question + size - 8;
	reply = malloc(*length);
	require(reply);
	memcpy(reply, query->packet, 2);
	memcpy(reply + 2, data, 2);
	memcpy(reply + 4, "\0\1", 2);
	memcpy(reply + 6, data + 2, 6);
	memcpy(reply + VIGIE_HEADER_SIZE, query->packet + VIGIE_HEADER_SIZE, question);
	memcpy(reply + VIGIE_HEADER_SIZE + question, data + 8, size - 8);
	return reply;
}

#endif

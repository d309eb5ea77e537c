/* What wire's code does with bytes beside reading and writing numbers. */
#ifndef VIGIE_WIRE_BYTES_H
#define VIGIE_WIRE_BYTES_H

#include <stdint.h>
#include <string.h>

#include "vigie/bytes.h"

/* memcpy for few bytes, at least 4: so few that a call would cost more. Pieces may overlap. */
static inline void copy_few(uint8_t *out, const uint8_t *in, size_t length)
{
	struct piece {
		uint64_t words[2];
	} piece, last;

	if (length >= sizeof(piece)) {
		memcpy(&last, in + length - sizeof(last), sizeof(last));
		for (size_t at = 0; at + sizeof(piece) < length; at += sizeof(piece)) {
			memcpy(&piece, in + at, sizeof(piece));
			memcpy(out + at, &piece, sizeof(piece));
		}
		memcpy(out + length - sizeof(last), &last, sizeof(last));
	} else if (length >= sizeof(uint64_t)) {
		memcpy(&piece.words[0], in, sizeof(uint64_t));
		memcpy(&piece.words[1], in + length - sizeof(uint64_t), sizeof(uint64_t));
		memcpy(out, &piece.words[0], sizeof(uint64_t));
		memcpy(out + length - sizeof(uint64_t), &piece.words[1], sizeof(uint64_t));
	} else {
		uint32_t first;
		uint32_t second;

		memcpy(&first, in, sizeof(first));
		memcpy(&second, in + length - sizeof(second), sizeof(second));
		memcpy(out, &first, sizeof(first));
		memcpy(out + length - sizeof(second), &second, sizeof(second));
	}
}

#endif

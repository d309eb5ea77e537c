/* Reading and folding a name: inlined, because every query begins with it. */
#ifndef VIGIE_WIRE_READ_NAME_H
#define VIGIE_WIRE_READ_NAME_H

#include "vigie/name.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A byte at a time: what the others must be equal to. */
static inline void fold_bytes(uint8_t *out, const uint8_t *in, size_t length)
{
	for (size_t i = 0; i < length; i++)
		out[i] = (uint8_t)(in[i] - 'A') < 26 ? in[i] | 0x20 : in[i];
}

/* Eight bytes at once: a byte's top bit in `upper` is set where it is 'A' to 'Z'; 0x80 >> 2 is the case bit.
 */
static inline void fold_8(uint8_t *out, const uint8_t *in)
{
	const uint64_t ones = 0x0101010101010101;
	uint64_t word;
	uint64_t low;
	uint64_t upper;

	memcpy(&word, in, sizeof(word));
	low = word & (ones * 0x7f);
	upper = (low + ones * (0x80 - 'A')) ^ (low + ones * (0x7f - 'Z'));
	upper &= ~word & (ones * 0x80);
	word |= upper >> 2;
	memcpy(out, &word, sizeof(word));
}

/* Sixteen. */
static inline void fold_16(uint8_t *out, const uint8_t *in)
{
#ifdef __SSE2__
	__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)in);
	/* 'A' becomes the least of all signed bytes, so that one comparison finds both ends of the range. */
	__m128i shifted = _mm_add_epi8(bytes, _mm_set1_epi8((char)(0x80 - 'A')));
	__m128i upper = _mm_cmplt_epi8(shifted, _mm_set1_epi8((char)(-0x80 + 26)));
	__m128i folded = _mm_or_si128(bytes, _mm_and_si128(upper, _mm_set1_epi8(0x20)));

	_mm_storeu_si128((__m128i *)(void *)out, folded);
#else
	fold_8(out, in);
	fold_8(out + 8, in + 8);
#endif
}

/* The last piece overlaps the one before it instead of being shorter: what is folded twice is folded once,
 * also when `out` is `in` itself. */
static inline void fold(uint8_t *out, const uint8_t *in, size_t length)
{
	if (length >= 16) {
		for (size_t i = 0; i < length - 16; i += 16)
			fold_16(out + i, in + i);
		fold_16(out + length - 16, in + length - 16);
	} else if (length >= 8) {
		fold_8(out, in);
		fold_8(out + length - 8, in + length - 8);
	} else {
		fold_bytes(out, in, length);
	}
}

/* As vigie_name_from_wire. */
static inline bool read_name(struct vigie_name *name, const uint8_t *wire, size_t available)
{
	size_t at = 0;
	unsigned labels = 0;

	if (available > VIGIE_NAME_MAX)
		available = VIGIE_NAME_MAX;
	if (available == 0)
		return false;
	name->offset[0] = 0;
	while ((uint8_t)(wire[at] - 1) < VIGIE_LABEL_MAX) {
		at += 1U + wire[at];
		if (at >= available)
			return false;
		name->offset[++labels] = (uint8_t)at; /* at most 127: each takes two bytes of at most 255 */
	}
	if (wire[at] != 0)
		return false;
	name->labels = (uint8_t)labels;
	name->length = (uint16_t)(at + 1);
	fold(name->bytes, wire, at + 1);
	return true;
}

#endif

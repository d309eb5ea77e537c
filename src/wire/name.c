#include "vigie/name.h"

#include <string.h>
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

void vigie_name_fold(uint8_t *out, const uint8_t *in, size_t length)
{
	fold(out, in, length);
}

enum vigie_status vigie_name_from_wire(struct vigie_name *name, const uint8_t *wire, size_t available)
{
	size_t at = 0;
	unsigned labels = 0;

	if (available > VIGIE_NAME_MAX)
		available = VIGIE_NAME_MAX;
	for (;;) {
		uint8_t length;

		if (at >= available)
			return VIGIE_EINVAL;
		length = wire[at];
		name->offset[labels] = (uint8_t)at;
		if ((uint8_t)(length - 1) >= VIGIE_LABEL_MAX) {
			if (length != 0)
				return VIGIE_EINVAL;
			break;
		}
		labels++; /* at most 127: each takes two bytes of at most 255 */
		at += 1U + length;
	}
	name->labels = (uint8_t)labels;
	name->length = (uint16_t)(at + 1);
	fold(name->bytes, wire, at + 1);
	return VIGIE_OK;
}

/* Reads one character of a label, escapes resolved; returns how many bytes of text it took, 0 when malformed.
 */
static size_t read_character(const char *text, uint8_t *byte)
{
	unsigned value = 0;

	if (text[0] != '\\') {
		*byte = (uint8_t)text[0];
		return 1;
	}
	if (text[1] == 0)
		return 0;
	if (text[1] < '0' || text[1] > '9') {
		*byte = (uint8_t)text[1];
		return 2;
	}
	for (size_t i = 1; i <= 3; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	if (value > 255)
		return 0;
	*byte = (uint8_t)value;
	return 4;
}

enum vigie_status vigie_name_from_text(struct vigie_name *name, const char *text)
{
	uint8_t wire[VIGIE_NAME_MAX];
	size_t label = 0; /* where the current label's length byte is */
	size_t at = 1;

	if (text[0] == 0)
		return VIGIE_EINVAL;
	if (strcmp(text, ".") == 0)
		return vigie_name_from_wire(name, (const uint8_t *)"", 1);
	while (*text) {
		if (*text == '.') {
			if (at == label + 1)
				return VIGIE_EINVAL; /* an empty label */
			wire[label] = (uint8_t)(at - label - 1);
			label = at++;
			text++;
			continue;
		}
		if (at - label > VIGIE_LABEL_MAX || at >= VIGIE_NAME_MAX - 1)
			return VIGIE_EINVAL;
		{
			size_t took = read_character(text, &wire[at]);

			if (took == 0)
				return VIGIE_EINVAL;
			text += took;
			at++;
		}
	}
	if (at > label + 1) {
		wire[label] = (uint8_t)(at - label - 1);
		label = at++;
	}
	if (label >= VIGIE_NAME_MAX)
		return VIGIE_EINVAL;
	wire[label] = 0;
	return vigie_name_from_wire(name, wire, label + 1);
}

char *vigie_name_to_text(const uint8_t *wire, char *text)
{
	char *out = text;

	if (wire[0] == 0)
		*out++ = '.';
	while (wire[0] != 0) {
		for (size_t i = 1; i <= wire[0]; i++) {
			uint8_t byte = wire[i];

			if (byte <= ' ' || byte >= 0x7f) {
				*out++ = '\\';
				*out++ = (char)('0' + byte / 100);
				*out++ = (char)('0' + byte / 10 % 10);
				*out++ = (char)('0' + byte % 10);
				continue;
			}
			if (strchr(".\\\"();@$", byte))
				*out++ = '\\';
			*out++ = (char)byte;
		}
		*out++ = '.';
		wire += 1 + wire[0];
	}
	*out = 0;
	return text;
}

size_t vigie_name_length(const uint8_t *wire)
{
	size_t at = 0;

	while (wire[at] != 0)
		at += 1U + wire[at];
	return at + 1;
}

bool vigie_name_equal(const uint8_t *a, const uint8_t *b)
{
	for (;;) {
		uint8_t length = *a;
		uint8_t x[VIGIE_LABEL_MAX];
		uint8_t y[VIGIE_LABEL_MAX];

		if (length != *b)
			return false;
		if (length == 0)
			return true;
		vigie_name_fold(x, a + 1, length);
		vigie_name_fold(y, b + 1, length);
		if (memcmp(x, y, length) != 0)
			return false;
		a += 1 + length;
		b += 1 + length;
	}
}

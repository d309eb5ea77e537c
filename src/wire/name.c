#include "vigie/name.h"

#include <string.h>

#include "read_name.h"

void vigie_name_fold(uint8_t *out, const uint8_t *in, size_t length)
{
	fold(out, in, length);
}

enum vigie_status vigie_name_from_wire(struct vigie_name *name, const uint8_t *wire, size_t available)
{
	return read_name(name, wire, available) ? VIGIE_OK : VIGIE_EINVAL;
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

#include "vigie/corefile.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum vigie_status vigie_word_error(struct vigie_error *error, const struct vigie_word *word,
				   const char *format, ...)
{
	va_list args;
	int length;

	if (!error)
		return VIGIE_EINVAL;
	length = snprintf(error->text, sizeof(error->text), "%s:%u: ", word->file, word->line);
	if (length > 0 && (size_t)length < sizeof(error->text)) {
		va_start(args, format);
		vsnprintf(error->text + length, sizeof(error->text) - (size_t)length, format, args);
		va_end(args);
	}
	for (char *at = error->text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?'; /* a quoted word may hold newlines: an error stays one line */
	return VIGIE_EINVAL;
}

/* The units of Go's time.ParseDuration in nanoseconds; the two spellings of micro are U+00B5 and U+03BC. */
static const struct unit {
	const char *name;
	uint64_t nanoseconds;
} units[] = {
	{"ns", 1},
	{"us", 1000},
	{"\u00b5s", 1000},
	{"\u03bcs", 1000},
	{"ms", 1000 * 1000},
	{"s", 1000 * 1000 * 1000},
	{"m", UINT64_C(60) * 1000 * 1000 * 1000},
	{"h", UINT64_C(3600) * 1000 * 1000 * 1000},
};

enum part { PART_OK, PART_MALFORMED, PART_NO_UNIT, PART_TOO_LONG };

/* Reads the unit: the bytes up to the next digit or point. */
static const struct unit *read_unit(const char **text)
{
	size_t length = strcspn(*text, "0123456789.");

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strlen(units[i].name) == length && memcmp(units[i].name, *text, length) == 0) {
			*text += length;
			return &units[i];
		}
	}
	return NULL;
}

/* Reads one number with its unit and adds it to the sum, which stays within INT64_MAX as in Go. */
static enum part read_part(const char **text, uint64_t *sum)
{
	const char *whole = *text;
	size_t whole_digits = strspn(whole, "0123456789");
	const char *fraction = whole + whole_digits + (whole[whole_digits] == '.');
	size_t fraction_digits = whole[whole_digits] == '.' ? strspn(fraction, "0123456789") : 0;
	const struct unit *unit;
	uint64_t number = 0;
	uint64_t place;

	if (whole_digits + fraction_digits == 0)
		return PART_MALFORMED;
	*text = fraction + fraction_digits;
	if (!**text)
		return PART_NO_UNIT;
	unit = read_unit(text);
	if (!unit)
		return PART_MALFORMED;
	for (size_t i = 0; i < whole_digits; i++) {
		number = number * 10 + (uint64_t)(whole[i] - '0');
		if (number > INT64_MAX / unit->nanoseconds)
			return PART_TOO_LONG;
	}
	number *= unit->nanoseconds;
	place = unit->nanoseconds;
	for (size_t i = 0; i < fraction_digits; i++) {
		place /= 10;
		number += place * (uint64_t)(fraction[i] - '0');
	}
	*sum += number; /* both below 2^63 and a bit: no overflow */
	return *sum > INT64_MAX ? PART_TOO_LONG : PART_OK;
}

enum vigie_status vigie_duration_from_word(const struct vigie_word *word, uint64_t *milliseconds,
					   struct vigie_error *error)
{
	const char *text = word->text + (word->text[0] == '+');
	enum part part = *text ? PART_OK : PART_MALFORMED;
	uint64_t sum = 0;

	if (*text == '-')
		return vigie_word_error(error, word, "'%s': this duration cannot be negative", word->text);
	if (strcmp(text, "0") == 0) {
		*milliseconds = 0;
		return VIGIE_OK;
	}
	while (*text && part == PART_OK)
		part = read_part(&text, &sum);
	switch (part) {
	case PART_OK:
		*milliseconds = sum / (1000 * 1000);
		return VIGIE_OK;
	case PART_NO_UNIT:
		return vigie_word_error(error, word,
					"'%s': this duration ends without a unit: ns, us, ms, s, m or h",
					word->text);
	case PART_TOO_LONG:
		return vigie_word_error(error, word, "'%s': this duration is beyond 292 years", word->text);
	case PART_MALFORMED:
		break;
	}
	return vigie_word_error(error, word, "'%s' is not a duration, such as 250ms, 5s or 1m30s",
				word->text);
}

enum vigie_status vigie_number_from_word(const struct vigie_word *word, uint64_t least, uint64_t most,
					 uint64_t *number, struct vigie_error *error)
{
	uint64_t value = 0;
	bool fits = word->text[0];

	for (const char *at = word->text; *at && fits; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		fits = *at >= '0' && *at <= '9' && value <= (UINT64_MAX - digit) / 10;
		value = value * 10 + digit;
	}
	if (!fits || value < least || value > most)
		return vigie_word_error(error, word, "'%s' is not a number from %" PRIu64 " to %" PRIu64,
					word->text, least, most);
	*number = value;
	return VIGIE_OK;
}

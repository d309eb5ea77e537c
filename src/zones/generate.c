#include "generate.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RANGE_MAX = 64,   /* bytes of START-STOP/STEP, and of what stands between braces */
	NUMBER_MAX = 256, /* bytes of a number as text */
	WIDTH_MAX = NUMBER_MAX - 1
};

/* Where a line is written. */
struct line {
	char *text;
	size_t length;
	size_t size;
};

static const char *put(struct line *line, const char *text, size_t length)
{
	if (length >= line->size - line->length)
		return "the line that it makes is too long";
	memcpy(line->text + line->length, text, length);
	line->length += length;
	line->text[line->length] = 0;
	return NULL;
}

/* A number of this form, and what stands behind it. */
static bool read_number(const char **text, int64_t least, int64_t *number)
{
	char *end;

	if (!isdigit((unsigned char)**text) && **text != '-')
		return false;
	errno = 0;
	*number = strtoll(*text, &end, 10);
	if (end == *text || errno || *number < least || *number > INT32_MAX)
		return false;
	*text = end;
	return true;
}

const char *generate_begin(struct generate *generate, const char *text, size_t length)
{
	char range[RANGE_MAX];
	const char *at = range;
	size_t n = 0;

	while (length > 0 && isspace((unsigned char)*text)) {
		text++;
		length--;
	}
	while (n < length && !isspace((unsigned char)text[n]))
		n++;
	if (n >= sizeof(range))
		return "the range is too long";
	memcpy(range, text, n);
	range[n] = 0;
	generate->step = 1;
	if (!read_number(&at, 0, &generate->number) || *at++ != '-' ||
	    !read_number(&at, 0, &generate->stop) ||
	    (*at == '/' && (at++, !read_number(&at, 1, &generate->step))) || *at)
		return "the range is not START-STOP or START-STOP/STEP";
	if (generate->stop < generate->number)
		return "the range ends before it begins";
	if ((generate->stop - generate->number) / generate->step >= GENERATE_MAX)
		return "the range has more than 65536 numbers";
	generate->pattern = text + n;
	generate->length = length - n;
	while (generate->length > 0 && isspace((unsigned char)*generate->pattern)) {
		generate->pattern++;
		generate->length--;
	}
	return generate->length > 0 ? NULL : "there is no record behind the range";
}

bool generate_more(const struct generate *generate)
{
	return generate->number <= generate->stop;
}

/* What stands between the braces: OFFSET[,WIDTH[,BASE]]. */
static const char *put_modified(struct line *line, const char *modifier, int64_t number)
{
	const char *at = modifier;
	int64_t offset;
	int64_t width = 0;
	char base = 'd';
	char text[NUMBER_MAX];
	int length;

	if (!read_number(&at, INT32_MIN, &offset) || (*at == ',' && (at++, !read_number(&at, 0, &width))) ||
	    (*at == ',' && (base = at[1], base == 0 || at[2] != 0)) || (*at && *at != ',') ||
	    !strchr("doxX", base) || width > WIDTH_MAX)
		return "what stands in braces is not OFFSET, OFFSET,WIDTH or OFFSET,WIDTH,BASE";
	if (number + offset < 0)
		return "a number is below 0";
	if (base == 'd')
		length = snprintf(text, sizeof(text), "%0*" PRId64, (int)width, number + offset);
	else
		length = snprintf(text, sizeof(text),
				  base == 'o'   ? "%0*" PRIo64
				  : base == 'x' ? "%0*" PRIx64
						: "%0*" PRIX64,
				  (int)width, (uint64_t)(number + offset));
	return put(line, text, (size_t)length);
}

/* What a "$" stands for; `at` is behind it and moves behind its braces. */
static const char *put_number(struct line *line, const char **at, const char *end, int64_t number)
{
	const char *close = *at < end && **at == '{' ? memchr(*at, '}', (size_t)(end - *at)) : NULL;
	char modifier[RANGE_MAX] = "0";

	if (*at < end && **at == '$') {
		++*at;
		return put(line, "$", 1);
	}
	if (*at < end && **at == '{') {
		size_t length = close ? (size_t)(close - *at - 1) : sizeof(modifier);

		if (length >= sizeof(modifier))
			return "the braces do not end";
		memcpy(modifier, *at + 1, length);
		modifier[length] = 0;
		*at = close + 1;
	}
	return put_modified(line, modifier, number);
}

const char *generate_next(struct generate *generate, char *text, size_t size)
{
	struct line line = {.text = text, .size = size};
	const char *at = generate->pattern;
	const char *end = at + generate->length;
	const char *wrong = NULL;

	text[0] = 0;
	while (at < end && !wrong) {
		if (*at == '\\' && end - at > 1) {
			wrong = at[1] == '$' ? put(&line, "$", 1) : put(&line, at, 2);
			at += 2;
		} else if (*at == '$') {
			at++;
			wrong = put_number(&line, &at, end, generate->number);
		} else {
			wrong = put(&line, at++, 1);
		}
	}
	generate->number += generate->step;
	return wrong;
}

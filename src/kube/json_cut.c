#include "json_cut.h"

#include <string.h>

void json_cut_init(struct json_cut *cut, enum json_cut_mode mode, json_cut_object *object,
		   json_cut_object *envelope, void *argument)
{
	*cut = (struct json_cut){.mode = mode, .object = object, .envelope = envelope, .argument = argument};
	vigie_buffer_init(&cut->piece, JSON_CUT_OBJECT_MAX);
	vigie_buffer_init(&cut->outside, JSON_CUT_ENVELOPE_MAX);
}

void json_cut_fini(struct json_cut *cut)
{
	vigie_buffer_fini(&cut->piece);
	vigie_buffer_fini(&cut->outside);
}

bool json_cut_is_between(const struct json_cut *cut)
{
	return cut->depth == 0;
}

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

/* Where in a run of plain bytes the scanner has to look again. */
static size_t plain_run(const struct json_cut *cut, const char *bytes, size_t length)
{
	size_t i = 0;

	if (cut->in_string) {
		while (i < length && bytes[i] != '"' && bytes[i] != '\\')
			i++;
		return i;
	}
	while (i < length && !strchr("\"{}[],", bytes[i]))
		i++;
	return i;
}

/* A piece begins with this bracket: an object of the stream, or an item. */
static bool begins_piece(const struct json_cut *cut, char byte)
{
	if (cut->piece_depth > 0 || byte != '{')
		return false;
	return cut->mode == JSON_CUT_STREAM ? cut->depth == 0 : cut->in_items && cut->depth == 2;
}

static enum vigie_status keep(struct json_cut *cut, const char *bytes, size_t length)
{
	if (cut->piece_depth > 0)
		return vigie_buffer_append(&cut->piece, bytes, length);
	if (cut->in_items && cut->depth == 2)
		return VIGIE_OK; /* commas and spaces between items: the envelope's array stays empty */
	return cut->mode == JSON_CUT_LIST ? vigie_buffer_append(&cut->outside, bytes, length) : VIGIE_OK;
}

static enum vigie_status end_piece(struct json_cut *cut)
{
	enum vigie_status status =
		cut->object(cut->argument, (const char *)cut->piece.data, cut->piece.length);

	cut->piece_depth = 0;
	cut->piece.length = 0;
	return status;
}

static enum vigie_status end_document(struct json_cut *cut)
{
	enum vigie_status status =
		cut->envelope(cut->argument, (const char *)cut->outside.data, cut->outside.length);

	cut->outside.length = 0;
	return status;
}

static enum vigie_status open_bracket(struct json_cut *cut, char byte)
{
	enum vigie_status status;

	if (begins_piece(cut, byte)) {
		cut->depth++;
		cut->piece_depth = cut->depth;
		return vigie_buffer_append(&cut->piece, &byte, 1);
	}
	if (cut->depth == 0 && byte != '{')
		return VIGIE_EINVAL;
	if (cut->in_items && cut->depth == 2 && cut->piece_depth == 0)
		return VIGIE_EINVAL; /* an item that is no object */
	status = keep(cut, &byte, 1);
	if (cut->mode == JSON_CUT_LIST && cut->depth == 1 && byte == '[' && cut->key_is_items)
		cut->in_items = true;
	cut->depth++;
	return status;
}

static enum vigie_status close_bracket(struct json_cut *cut, char byte)
{
	enum vigie_status status;

	if (cut->depth == 0)
		return VIGIE_EINVAL;
	if (cut->in_items && cut->depth == 2 && cut->piece_depth == 0)
		cut->in_items = false; /* the array's end is the envelope's again */
	status = keep(cut, &byte, 1);
	if (status)
		return status;
	if (cut->piece_depth == cut->depth)
		status = end_piece(cut);
	cut->depth--;
	if (!status && cut->depth == 0 && cut->mode == JSON_CUT_LIST)
		status = end_document(cut);
	return status;
}

static enum vigie_status quote(struct json_cut *cut, char byte)
{
	static const char items[] = "\"items\"";
	enum vigie_status status;

	if (cut->depth == 0)
		return VIGIE_EINVAL;
	if (!cut->in_string)
		cut->string_start = cut->outside.length;
	status = keep(cut, &byte, 1);
	cut->in_string = !cut->in_string;
	if (!status && !cut->in_string && cut->depth == 1 && cut->mode == JSON_CUT_LIST)
		cut->key_is_items =
			cut->outside.length - cut->string_start == sizeof(items) - 1 &&
			memcmp(cut->outside.data + cut->string_start, items, sizeof(items) - 1) == 0;
	return status;
}

static enum vigie_status take_byte(struct json_cut *cut, char byte)
{
	if (cut->in_string && byte != '"') {
		cut->escaped = byte == '\\';
		return keep(cut, &byte, 1);
	}
	switch (byte) {
	case '"':
		return quote(cut, byte);
	case '{':
	case '[':
		return open_bracket(cut, byte);
	case '}':
	case ']':
		return close_bracket(cut, byte);
	default: /* a comma: the last string was a value, or a key whose value has passed */
		cut->key_is_items = cut->key_is_items && cut->depth > 1;
		return cut->depth > 0 ? keep(cut, &byte, 1) : VIGIE_EINVAL;
	}
}

enum vigie_status json_cut_feed(struct json_cut *cut, const char *bytes, size_t length)
{
	while (length > 0) {
		enum vigie_status status = VIGIE_OK;
		size_t run;

		if (cut->escaped) {
			cut->escaped = false;
			status = keep(cut, bytes, 1);
			if (status)
				return status;
			bytes++;
			length--;
			continue;
		}
		run = plain_run(cut, bytes, length);
		for (size_t i = 0; cut->depth == 0 && i < run; i++) {
			if (!is_space(bytes[i]))
				return VIGIE_EINVAL;
		}
		if (run > 0 && cut->depth > 0)
			status = keep(cut, bytes, run);
		if (!status && run < length) {
			status = take_byte(cut, bytes[run]);
			run++;
		}
		if (status)
			return status;
		bytes += run;
		length -= run;
	}
	return VIGIE_OK;
}

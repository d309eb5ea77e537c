#include "template_text.h"

#include <string.h>

#include "template_value.h"

struct part {
	const struct part *next;
	const struct template_value *value; /* NULL: plain text */
	const char *text;
	size_t length;
};

struct template_text {
	const struct part *parts;
};

/* While a text is read: where its next part goes. */
struct builder {
	struct vigie_arena *arena;
	const struct part **last;
	struct vigie_error *error;
};

/* Where "}}" closes the action that begins at `at`; quotes are passed over. NULL when it does not end. */
static const char *find_end(const char *at)
{
	for (; *at; at++) {
		if (at[0] == '}' && at[1] == '}')
			return at;
		if (*at != '"' && *at != '`')
			continue;
		for (char quote = *at++; *at && *at != quote; at++) {
			if (quote == '"' && at[0] == '\\' && at[1])
				at++;
		}
		if (!*at)
			return NULL;
	}
	return NULL;
}

static size_t trimmed(const char *text, size_t length)
{
	while (length > 0 && strchr(" \t\r\n", text[length - 1]))
		length--;
	return length;
}

static struct part *add_part(struct builder *builder)
{
	struct part *part = vigie_arena_alloc(builder->arena, sizeof(*part));

	if (!part) {
		vigie_error_memory(builder->error);
		return NULL;
	}
	*builder->last = part;
	builder->last = &part->next;
	return part;
}

static bool add_text(struct builder *builder, const char *text, size_t length)
{
	struct part *part;

	if (length == 0)
		return true;
	part = add_part(builder);
	if (!part)
		return false;
	part->text = text;
	part->length = length;
	return true;
}

const struct template_text *template_text_new(struct vigie_arena *arena, const struct vigie_word *word,
					      struct vigie_error *error)
{
	struct template_text *text = vigie_arena_alloc(arena, sizeof(*text));
	struct builder builder = {.arena = arena, .last = text ? &text->parts : NULL, .error = error};
	const char *at = word->text;

	if (!text) {
		vigie_error_memory(error);
		return NULL;
	}
	for (;;) {
		const char *open = strstr(at, "{{");
		size_t length = open ? (size_t)(open - at) : strlen(at);
		const struct template_value *value;
		const char *close;
		bool trims_before;
		bool trims_behind;
		bool comment;
		struct part *part;

		trims_before = open && open[2] == '-' && open[3] == ' ';
		if (!add_text(&builder, at, trims_before ? trimmed(at, length) : length))
			return NULL;
		if (!open)
			return text;
		close = find_end(open + 2);
		if (!close) {
			vigie_word_error(error, word, "'%s': '{{' is never closed by '}}'", word->text);
			return NULL;
		}
		trims_behind = close - open >= 4 && close[-1] == '-' && close[-2] == ' ';
		value = template_value_read(arena, word, open + 2 + trims_before, close - trims_behind,
					    &comment, error);
		if (!value && !comment)
			return NULL;
		if (!comment) {
			part = add_part(&builder);
			if (!part)
				return NULL;
			part->value = value;
		}
		at = close + 2;
		while (trims_behind && *at && strchr(" \t\r\n", *at))
			at++;
	}
}

bool template_text_is_constant(const struct template_text *text)
{
	for (const struct part *part = text->parts; part; part = part->next) {
		if (part->value)
			return false;
	}
	return true;
}

static bool has_group(const struct regex *const *patterns, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (regex_group_number(patterns[i], name) > 0)
			return true;
	}
	return false;
}

const char *template_text_missing_group(const struct template_text *text, const struct regex *const *patterns,
					size_t count)
{
	for (const struct part *part = text->parts; part; part = part->next) {
		for (const struct template_value *e = part->value; e; e = e->operand) {
			if (e->kind == KIND_GROUP && !has_group(patterns, count, e->text))
				return e->text;
		}
	}
	return NULL;
}

bool template_text_fill(const struct template_text *text, const struct template_data *data, char *out,
			size_t size)
{
	size_t at = 0;

	for (const struct part *part = text->parts; part; part = part->next) {
		char value[TEMPLATE_VALUE_MAX];
		const char *from = part->text;
		size_t length = part->length;

		if (part->value) {
			if (!template_value_get(part->value, data, value))
				return false;
			from = value;
			length = strlen(value);
		}
		if (length >= size - at)
			return false;
		memcpy(out + at, from, length);
		at += length;
	}
	out[at] = 0;
	return true;
}

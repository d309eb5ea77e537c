/* Reading an action: fields, functions, quoted texts and numbers, parentheses. */
#include <stdlib.h>
#include <string.h>

#include "template_value.h"

enum {
	DEPTH_MAX = 8 /* parentheses within one another */
};

struct reader {
	struct vigie_arena *arena;
	const struct vigie_word *word;
	const char *at;
	const char *end; /* of the action */
	struct vigie_error *error;
	unsigned depth;
};

static void skip_space(struct reader *reader)
{
	while (reader->at < reader->end && strchr(" \t\r\n", *reader->at))
		reader->at++;
}

static const struct template_value *no_memory(struct reader *reader)
{
	vigie_error_memory(reader->error);
	return NULL;
}

static const struct template_value *unexpected(struct reader *reader, const char *what, size_t length)
{
	vigie_word_error(
		reader->error, reader->word,
		"'%s': a template here knows the fields .Name, .Zone, .Class, .Type, .Remote, "
		".Question.Name, .Match, .Group and .Meta, and the functions index and parseInt, not '%.*s'",
		reader->word->text, (int)length, what);
	return NULL;
}

static struct template_value *make(struct reader *reader, enum template_kind kind)
{
	struct template_value *expression = vigie_arena_alloc(reader->arena, sizeof(*expression));

	if (expression)
		expression->kind = kind;
	else
		no_memory(reader);
	return expression;
}

/* Bytes of the word that begins here: up to white space or a bracket. */
static size_t word_length(const struct reader *reader)
{
	size_t length = 0;

	while (reader->at + length < reader->end && !strchr(" \t\r\n()\"`", reader->at[length]))
		length++;
	return length;
}

static bool is_word(const struct reader *reader, const char *word)
{
	size_t length = word_length(reader);

	return strlen(word) == length && memcmp(word, reader->at, length) == 0;
}

static const struct template_value *read_call(struct reader *reader);

/* A text in quotes; between ` and ` no backslash means anything. */
static const struct template_value *read_quoted(struct reader *reader)
{
	char quote = *reader->at++;
	const char *begin = reader->at;
	struct template_value *expression = make(reader, KIND_LITERAL);
	char *text;
	size_t length = 0;

	while (reader->at < reader->end && *reader->at != quote)
		reader->at += quote == '"' && *reader->at == '\\' && reader->at + 1 < reader->end ? 2 : 1;
	if (!expression)
		return NULL;
	if (reader->at >= reader->end)
		return unexpected(reader, begin - 1, (size_t)(reader->end - begin) + 1);
	text = vigie_arena_alloc(reader->arena, (size_t)(reader->at - begin) + 1);
	if (!text)
		return no_memory(reader);
	for (const char *from = begin; from < reader->at; from++) {
		if (quote == '"' && *from == '\\')
			from++;
		text[length++] = *from;
	}
	reader->at++;
	expression->text = text;
	return expression;
}

static const struct template_value *read_number(struct reader *reader)
{
	struct template_value *expression = make(reader, KIND_LITERAL);
	size_t length = word_length(reader);

	if (!expression)
		return NULL;
	expression->text = vigie_arena_strndup(reader->arena, reader->at, length);
	if (!expression->text)
		return no_memory(reader);
	if (strspn(expression->text, "0123456789") != length)
		return unexpected(reader, reader->at, length);
	reader->at += length;
	return expression;
}

static const struct template_value *read_field(struct reader *reader)
{
	static const struct {
		const char *name;
		enum template_kind kind;
	} fields[] = {{".Name", KIND_NAME},         {".Zone", KIND_ZONE},
		      {".Class", KIND_CLASS},       {".Type", KIND_TYPE},
		      {".Remote", KIND_REMOTE},     {".Question.Name", KIND_QUESTION_NAME},
		      {".Match", KIND_ALL_MATCHES}, {".Group", KIND_ALL_GROUPS}};
	size_t length = word_length(reader);
	struct template_value *expression;

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (!is_word(reader, fields[i].name))
			continue;
		reader->at += length;
		return make(reader, fields[i].kind);
	}
	if (length < 8 || memcmp(reader->at, ".Group.", 7) != 0)
		return unexpected(reader, reader->at, length);
	expression = make(reader, KIND_GROUP);
	if (!expression)
		return NULL;
	expression->text = vigie_arena_strndup(reader->arena, reader->at + 7, length - 7);
	reader->at += length;
	return expression->text ? expression : no_memory(reader);
}

static const struct template_value *read_operand(struct reader *reader)
{
	skip_space(reader);
	if (reader->at == reader->end)
		return unexpected(reader, "nothing", 7);
	if (*reader->at == '(') {
		const struct template_value *inner;

		reader->at++;
		if (++reader->depth > DEPTH_MAX)
			return unexpected(reader, "so many parentheses", 19);
		inner = read_call(reader);
		skip_space(reader);
		if (inner && (reader->at == reader->end || *reader->at != ')'))
			return unexpected(reader, "an open parenthesis", 19);
		reader->at++;
		reader->depth--;
		return inner;
	}
	if (*reader->at == '"' || *reader->at == '`')
		return read_quoted(reader);
	if (*reader->at >= '0' && *reader->at <= '9')
		return read_number(reader);
	if (*reader->at == '.')
		return read_field(reader);
	return unexpected(reader, reader->at, word_length(reader) ? word_length(reader) : 1);
}

/* index .Match NUMBER, index .Group "NAME" */
static const struct template_value *read_index(struct reader *reader)
{
	const struct template_value *of = read_operand(reader);
	const struct template_value *which = of ? read_operand(reader) : NULL;
	struct template_value *expression;

	if (!which)
		return NULL;
	if ((of->kind != KIND_ALL_MATCHES && of->kind != KIND_ALL_GROUPS) || which->kind != KIND_LITERAL)
		return unexpected(reader, "an index of that kind", 21);
	if (of->kind == KIND_ALL_GROUPS && strspn(which->text, "0123456789") != strlen(which->text)) {
		expression = make(reader, KIND_GROUP);
		if (expression)
			expression->text = which->text;
		return expression;
	}
	expression = make(reader, KIND_MATCH);
	if (!expression)
		return NULL;
	expression->number = (unsigned)strtoul(which->text, NULL, 10);
	if (!which->text[0] || expression->number >= REGEX_GROUPS_MAX)
		return unexpected(reader, "a group with such a number", 26);
	return expression;
}

static const struct template_value *read_parse_int(struct reader *reader)
{
	struct template_value *expression = make(reader, KIND_PARSE_INT);
	const struct template_value *base;
	const struct template_value *bits;

	if (!expression)
		return NULL;
	expression->operand = read_operand(reader);
	base = expression->operand ? read_operand(reader) : NULL;
	bits = base ? read_operand(reader) : NULL;
	if (!bits)
		return NULL;
	if (base->kind != KIND_LITERAL || bits->kind != KIND_LITERAL)
		return unexpected(reader, "a base or size that is no number", 32);
	expression->number = (unsigned)strtoul(base->text, NULL, 10);
	expression->bits = (unsigned)strtoul(bits->text, NULL, 10);
	if (expression->number == 1 || expression->number > 36 || expression->bits > 64)
		return unexpected(reader, "a base above 36 or more than 64 bits", 36);
	return expression;
}

static const struct template_value *read_meta(struct reader *reader)
{
	struct template_value *expression = make(reader, KIND_META);

	if (!expression)
		return NULL;
	expression->operand = read_operand(reader);
	return expression->operand ? expression : NULL;
}

static const struct template_value *read_call(struct reader *reader)
{
	static const struct {
		const char *name;
		const struct template_value *(*read)(struct reader *reader);
	} functions[] = {{"index", read_index}, {"parseInt", read_parse_int}, {".Meta", read_meta}};

	skip_space(reader);
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		if (!is_word(reader, functions[i].name))
			continue;
		reader->at += word_length(reader);
		return functions[i].read(reader);
	}
	return read_operand(reader);
}

const struct template_value *template_value_read(struct vigie_arena *arena, const struct vigie_word *word,
						 const char *at, const char *end, bool *comment,
						 struct vigie_error *error)
{
	struct reader reader = {.arena = arena, .word = word, .at = at, .end = end, .error = error};
	const struct template_value *expression;

	skip_space(&reader);
	*comment = reader.end - reader.at >= 4 && memcmp(reader.at, "/*", 2) == 0;
	if (*comment)
		return NULL;
	expression = read_call(&reader);
	if (!expression)
		return NULL;
	skip_space(&reader);
	if (reader.at < reader.end)
		return unexpected(&reader, reader.at, word_length(&reader) ? word_length(&reader) : 1);
	if (expression->kind == KIND_ALL_MATCHES || expression->kind == KIND_ALL_GROUPS)
		return unexpected(&reader, "a list as a value", 17);
	return expression;
}

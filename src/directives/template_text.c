#include "template_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"

enum {
	DEPTH_MAX = 8,                  /* parentheses within one another */
	VALUE_MAX = VIGIE_NAME_TEXT_MAX /* bytes of a value within an action */
};

enum kind {
	KIND_LITERAL,
	KIND_NAME,
	KIND_ZONE,
	KIND_CLASS,
	KIND_TYPE,
	KIND_REMOTE,
	KIND_QUESTION_NAME,
	KIND_MATCH,     /* `number` */
	KIND_GROUP,     /* `text` */
	KIND_META,      /* of what `operand` is */
	KIND_PARSE_INT, /* `operand` in base `number`, of `bits` */
	/* Not values, but what `index` takes. */
	KIND_ALL_MATCHES,
	KIND_ALL_GROUPS
};

struct expression {
	enum kind kind;
	const char *text;
	unsigned number;
	unsigned bits;
	const struct expression *operand;
};

struct part {
	const struct part *next;
	const struct expression *expression; /* NULL: plain text */
	const char *text;
	size_t length;
};

struct template_text {
	const struct part *parts;
};

/* Reading. */

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

static const struct expression *no_memory(struct reader *reader)
{
	vigie_error_set(reader->error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
	return NULL;
}

static const struct expression *unexpected(struct reader *reader, const char *what, size_t length)
{
	vigie_word_error(
		reader->error, reader->word,
		"'%s': a template here knows the fields .Name, .Zone, .Class, .Type, .Remote, "
		".Question.Name, .Match, .Group and .Meta, and the functions index and parseInt, not '%.*s'",
		reader->word->text, (int)length, what);
	return NULL;
}

static struct expression *make(struct reader *reader, enum kind kind)
{
	struct expression *expression = vigie_arena_alloc(reader->arena, sizeof(*expression));

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

static const struct expression *read_call(struct reader *reader);

/* A text in quotes; between ` and ` no backslash means anything. */
static const struct expression *read_quoted(struct reader *reader)
{
	char quote = *reader->at++;
	const char *begin = reader->at;
	struct expression *expression = make(reader, KIND_LITERAL);
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

static const struct expression *read_number(struct reader *reader)
{
	struct expression *expression = make(reader, KIND_LITERAL);
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

static const struct expression *read_field(struct reader *reader)
{
	static const struct {
		const char *name;
		enum kind kind;
	} fields[] = {{".Name", KIND_NAME},         {".Zone", KIND_ZONE},
		      {".Class", KIND_CLASS},       {".Type", KIND_TYPE},
		      {".Remote", KIND_REMOTE},     {".Question.Name", KIND_QUESTION_NAME},
		      {".Match", KIND_ALL_MATCHES}, {".Group", KIND_ALL_GROUPS}};
	size_t length = word_length(reader);
	struct expression *expression;

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

static const struct expression *read_operand(struct reader *reader)
{
	skip_space(reader);
	if (reader->at == reader->end)
		return unexpected(reader, "nothing", 7);
	if (*reader->at == '(') {
		const struct expression *inner;

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
static const struct expression *read_index(struct reader *reader)
{
	const struct expression *of = read_operand(reader);
	const struct expression *which = of ? read_operand(reader) : NULL;
	struct expression *expression;

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

static const struct expression *read_parse_int(struct reader *reader)
{
	struct expression *expression = make(reader, KIND_PARSE_INT);
	const struct expression *base;
	const struct expression *bits;

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

static const struct expression *read_meta(struct reader *reader)
{
	struct expression *expression = make(reader, KIND_META);

	if (!expression)
		return NULL;
	expression->operand = read_operand(reader);
	return expression->operand ? expression : NULL;
}

static const struct expression *read_call(struct reader *reader)
{
	static const struct {
		const char *name;
		const struct expression *(*read)(struct reader *reader);
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

/* One action, from reader->at to reader->end. NULL with the error set, or for a comment without it. */
static const struct expression *read_action(struct reader *reader, bool *comment)
{
	const struct expression *expression;

	skip_space(reader);
	*comment = reader->end - reader->at >= 4 && memcmp(reader->at, "/*", 2) == 0;
	if (*comment)
		return NULL;
	expression = read_call(reader);
	if (!expression)
		return NULL;
	skip_space(reader);
	if (reader->at < reader->end)
		return unexpected(reader, reader->at, word_length(reader) ? word_length(reader) : 1);
	if (expression->kind == KIND_ALL_MATCHES || expression->kind == KIND_ALL_GROUPS)
		return unexpected(reader, "a list as a value", 17);
	return expression;
}

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

static struct part *add_part(struct reader *reader, const struct part ***last)
{
	struct part *part = vigie_arena_alloc(reader->arena, sizeof(*part));

	if (!part) {
		no_memory(reader);
		return NULL;
	}
	**last = part;
	*last = &part->next;
	return part;
}

static bool add_text(struct reader *reader, const struct part ***last, const char *text, size_t length)
{
	struct part *part;

	if (length == 0)
		return true;
	part = add_part(reader, last);
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
	struct reader reader = {.arena = arena, .word = word, .error = error};
	const struct part **last = text ? &text->parts : NULL;
	const char *at = word->text;

	if (!text) {
		no_memory(&reader);
		return NULL;
	}
	for (;;) {
		const char *open = strstr(at, "{{");
		size_t length = open ? (size_t)(open - at) : strlen(at);
		const struct expression *expression;
		const char *close;
		bool trims_before;
		bool trims_behind;
		bool comment;
		struct part *part;

		trims_before = open && open[2] == '-' && open[3] == ' ';
		if (!add_text(&reader, &last, at, trims_before ? trimmed(at, length) : length))
			return NULL;
		if (!open)
			return text;
		close = find_end(open + 2);
		if (!close) {
			vigie_word_error(error, word, "'%s': '{{' is never closed by '}}'", word->text);
			return NULL;
		}
		trims_behind = close - open >= 4 && close[-1] == '-' && close[-2] == ' ';
		reader.at = open + 2 + trims_before;
		reader.end = close - trims_behind;
		expression = read_action(&reader, &comment);
		if (!expression && !comment)
			return NULL;
		if (!comment) {
			part = add_part(&reader, &last);
			if (!part)
				return NULL;
			part->expression = expression;
		}
		at = close + 2;
		while (trims_behind && *at && strchr(" \t\r\n", *at))
			at++;
	}
}

bool template_text_is_constant(const struct template_text *text)
{
	for (const struct part *part = text->parts; part; part = part->next) {
		if (part->expression)
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
		for (const struct expression *e = part->expression; e; e = e->operand) {
			if (e->kind == KIND_GROUP && !has_group(patterns, count, e->text))
				return e->text;
		}
	}
	return NULL;
}

/* Filling. */

static bool evaluate(const struct expression *expression, const struct template_data *data, char *value);

static bool copy(char *value, const char *text, size_t length)
{
	if (length >= VALUE_MAX)
		return false;
	memcpy(value, text, length);
	value[length] = 0;
	return true;
}

static bool copy_group(const struct template_data *data, size_t number, char *value)
{
	const struct regex_groups *groups = data->groups;

	if (!groups)
		return number == 0 && copy(value, data->name, strlen(data->name));
	if (number >= groups->count)
		return false;
	if (groups->group[number].start == SIZE_MAX)
		return copy(value, "", 0);
	return copy(value, groups->text + groups->group[number].start,
		    groups->group[number].end - groups->group[number].start);
}

static bool copy_named_group(const struct template_data *data, const char *name, char *value)
{
	unsigned number = data->regex ? regex_group_number(data->regex, name) : 0;

	return number > 0 ? copy_group(data, number, value) : copy(value, "", 0);
}

/* As Go's strconv.ParseUint; base 0 looks at the prefix, size 0 is 64 bits. */
static bool parse_int(const struct expression *expression, const struct template_data *data, char *value)
{
	unsigned bits = expression->bits ? expression->bits : 64;
	unsigned long long number;
	char text[VALUE_MAX];
	char *end;

	if (!evaluate(expression->operand, data, text) || !text[0] || strchr(" \t\n\v\f\r+-", text[0]))
		return false;
	errno = 0;
	number = strtoull(text, &end, (int)expression->number);
	if (*end || errno || (bits < 64 && number >> bits > 0))
		return false;
	snprintf(value, VALUE_MAX, "%llu", number);
	return true;
}

/* What is not known is empty. */
static bool copy_metadata(const struct expression *label, const struct template_data *data, char *value)
{
	char text[VALUE_MAX];

	if (!evaluate(label, data, text))
		return false;
	if (!vigie_request_metadata(data->request, text, value))
		value[0] = 0;
	return true;
}

static bool copy_remote(const struct vigie_request *request, char *value)
{
	uint8_t address[16];

	network_address(request->client, address);
	return network_address_is_v4(address) ? inet_ntop(AF_INET, address + 12, value, VALUE_MAX) != NULL
					      : inet_ntop(AF_INET6, address, value, VALUE_MAX) != NULL;
}

static bool evaluate(const struct expression *expression, const struct template_data *data, char *value)
{
	switch (expression->kind) {
	case KIND_LITERAL:
		return copy(value, expression->text, strlen(expression->text));
	case KIND_NAME:
		return copy(value, data->name, strlen(data->name));
	case KIND_ZONE:
		return copy(value, data->zone, strlen(data->zone));
	case KIND_CLASS:
		return copy(value, data->class, strlen(data->class));
	case KIND_TYPE:
		return copy(value, data->type, strlen(data->type));
	case KIND_REMOTE:
		return copy_remote(data->request, value);
	case KIND_QUESTION_NAME:
		vigie_name_to_text(data->request->query->packet + VIGIE_HEADER_SIZE, value);
		return true;
	case KIND_MATCH:
		return copy_group(data, expression->number, value);
	case KIND_GROUP:
		return copy_named_group(data, expression->text, value);
	case KIND_PARSE_INT:
		return parse_int(expression, data, value);
	case KIND_META:
		return copy_metadata(expression->operand, data, value);
	case KIND_ALL_MATCHES:
	case KIND_ALL_GROUPS:
		break;
	}
	return false;
}

bool template_text_fill(const struct template_text *text, const struct template_data *data, char *out,
			size_t size)
{
	size_t at = 0;

	for (const struct part *part = text->parts; part; part = part->next) {
		char value[VALUE_MAX];
		const char *from = part->text;
		size_t length = part->length;

		if (part->expression) {
			if (!evaluate(part->expression, data, value))
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

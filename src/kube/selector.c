/* Label selectors: requirements joined by commas, all of which must hold. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "vigie/arena.h"
#include "vigie/kube.h"

enum operator{
	OPERATOR_IN,     /* also "=" and "==" with one value */
	OPERATOR_NOT_IN, /* also "!="; matches objects without the key, too */
	OPERATOR_EXISTS,
	OPERATOR_ABSENT
};

struct requirement {
	struct requirement *next;
	const char *key;
	enum operator operator;
	const char **values;
	size_t count;
};

struct vigie_selector {
	struct vigie_arena *arena;
	struct requirement *first;
};

struct parser {
	struct vigie_arena *arena;
	const char *text;
	const char *at;
	struct vigie_error *error;
};

static void skip_space(struct parser *parser)
{
	while (isspace((unsigned char)*parser->at))
		parser->at++;
}

static bool take(struct parser *parser, const char *token)
{
	size_t length = strlen(token);

	skip_space(parser);
	if (strncmp(parser->at, token, length) != 0)
		return false;
	parser->at += length;
	return true;
}

static enum vigie_status expected(struct parser *parser, const char *what)
{
	return vigie_error_set(parser->error, VIGIE_EINVAL, "%s is expected at '%s'", what,
			       *parser->at ? parser->at : "the end");
}

/* A key or a value: letters, digits and "-_./". */
static enum vigie_status take_word(struct parser *parser, const char *what, bool may_be_empty,
				   const char **word)
{
	size_t length = 0;

	skip_space(parser);
	while (isalnum((unsigned char)parser->at[length]) ||
	       (parser->at[length] && strchr("-_./", parser->at[length])))
		length++;
	if (length == 0 && !may_be_empty)
		return expected(parser, what);
	*word = vigie_arena_strndup(parser->arena, parser->at, length);
	parser->at += length;
	return *word ? VIGIE_OK : VIGIE_ENOMEM;
}

static enum vigie_status take_value(struct parser *parser, struct requirement *requirement)
{
	const char **values =
		vigie_arena_alloc(parser->arena, (requirement->count + 1) * sizeof(*requirement->values));

	if (!values)
		return VIGIE_ENOMEM;
	if (requirement->count > 0)
		memcpy(values, requirement->values, requirement->count * sizeof(*values));
	requirement->values = values;
	return take_word(parser, "a value", true, &values[requirement->count++]);
}

static enum vigie_status take_set(struct parser *parser, struct requirement *requirement)
{
	enum vigie_status status;

	if (!take(parser, "("))
		return expected(parser, "'('");
	do {
		status = take_value(parser, requirement);
		if (status)
			return status;
	} while (take(parser, ","));
	return take(parser, ")") ? VIGIE_OK : expected(parser, "')'");
}

/* A whole word, so that "in" is not found in "index". */
static bool take_keyword(struct parser *parser, const char *keyword)
{
	const char *before = parser->at;

	if (take(parser, keyword) && (isspace((unsigned char)*parser->at) || *parser->at == '('))
		return true;
	parser->at = before;
	return false;
}

static enum vigie_status take_requirement(struct parser *parser, struct requirement *requirement)
{
	bool absent = take(parser, "!");
	enum vigie_status status = take_word(parser, "a label's key", false, &requirement->key);

	if (status)
		return status;
	requirement->operator= absent ? OPERATOR_ABSENT : OPERATOR_EXISTS;
	if (absent)
		return VIGIE_OK;
	if (take_keyword(parser, "notin")) {
		requirement->operator= OPERATOR_NOT_IN;
		return take_set(parser, requirement);
	}
	if (take_keyword(parser, "in")) {
		requirement->operator= OPERATOR_IN;
		return take_set(parser, requirement);
	}
	if (take(parser, "!=")) {
		requirement->operator= OPERATOR_NOT_IN;
		return take_value(parser, requirement);
	}
	if (take(parser, "==") || take(parser, "=")) {
		requirement->operator= OPERATOR_IN;
		return take_value(parser, requirement);
	}
	return VIGIE_OK;
}

struct vigie_selector *vigie_selector_new(const char *expression, struct vigie_error *error)
{
	struct vigie_arena *arena = vigie_arena_new();
	struct vigie_selector *selector = arena ? vigie_arena_alloc(arena, sizeof(*selector)) : NULL;
	struct parser parser = {.arena = arena, .text = expression, .at = expression, .error = error};
	struct requirement **last;
	enum vigie_status status = VIGIE_OK;

	if (!selector) {
		vigie_error_memory(error);
		vigie_arena_free(arena);
		return NULL;
	}
	selector->arena = arena;
	last = &selector->first;
	do {
		struct requirement *requirement = vigie_arena_alloc(arena, sizeof(*requirement));

		status = requirement ? take_requirement(&parser, requirement) : VIGIE_ENOMEM;
		*last = requirement;
		if (requirement)
			last = &requirement->next;
	} while (!status && take(&parser, ","));
	skip_space(&parser);
	if (!status && *parser.at)
		status = expected(&parser, "a comma or the end");
	if (!status)
		return selector;
	if (status == VIGIE_ENOMEM)
		vigie_error_set(error, status, "%s", vigie_status_text(status));
	vigie_arena_free(arena);
	return NULL;
}

void vigie_selector_free(struct vigie_selector *selector)
{
	if (selector)
		vigie_arena_free(selector->arena);
}

static bool requirement_matches(const struct requirement *requirement, const char *value)
{
	bool listed = false;

	for (size_t i = 0; value && i < requirement->count && !listed; i++)
		listed = strcmp(requirement->values[i], value) == 0;
	switch (requirement->operator) {
	case OPERATOR_IN:
		return listed;
	case OPERATOR_NOT_IN:
		return !listed;
	case OPERATOR_EXISTS:
		return value != NULL;
	case OPERATOR_ABSENT:
		return value == NULL;
	}
	return false;
}

bool vigie_selector_matches(const struct vigie_selector *selector, const char *const *keys,
			    const char *const *values, size_t count)
{
	for (const struct requirement *r = selector->first; r; r = r->next) {
		const char *value = NULL;

		for (size_t i = 0; i < count && !value; i++) {
			if (strcmp(keys[i], r->key) == 0)
				value = values[i];
		}
		if (!requirement_matches(r, value))
			return false;
	}
	return true;
}

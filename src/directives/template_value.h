/* The value of an action in a template's text (template_text.h): read once, worked out for each query. */
#ifndef VIGIE_DIRECTIVES_TEMPLATE_VALUE_H
#define VIGIE_DIRECTIVES_TEMPLATE_VALUE_H

#include "template_text.h"

enum {
	TEMPLATE_VALUE_MAX = VIGIE_NAME_TEXT_MAX /* bytes of a value with its terminator */
};

enum template_kind {
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

struct template_value {
	enum template_kind kind;
	const char *text;
	unsigned number;
	unsigned bits;
	const struct template_value *operand;
};

/* Reads the action between `at` and `end` of a word's text into the arena. NULL: `error` is set, or
 * `*comment`: the action is one, and has no value. */
const struct template_value *template_value_read(struct vigie_arena *arena, const struct vigie_word *word,
						 const char *at, const char *end, bool *comment,
						 struct vigie_error *error);

/* Writes the value, terminated, into TEMPLATE_VALUE_MAX bytes. False when there is none, or it is longer. */
bool template_value_get(const struct template_value *value, const struct template_data *data, char *text);

#endif

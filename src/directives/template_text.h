/* Texts with actions in them, as Go's text/template writes them: the part of that language that CoreDNS'
 * manual uses. Between {{ and }} stand
 *
 *     .Name .Zone .Class .Type .Remote .Question.Name   what is known of the query
 *     .Group.NAME, index .Group "NAME"                  a named group of the pattern
 *     index .Match NUMBER                               a group by its number
 *     parseInt TEXT BASE BITS                           a number in another base
 *     .Meta "LABEL"                                     metadata
 *     "text", `text`, 12, and ( … ) around any of these; comments as in C stand alone
 *
 * {{- and -}} take the white space beside them away. */
#ifndef VIGIE_DIRECTIVES_TEMPLATE_TEXT_H
#define VIGIE_DIRECTIVES_TEMPLATE_TEXT_H

#include "regex.h"
#include "vigie/request.h"

struct template_text;

/* What a text is filled from. All borrowed. */
struct template_data {
	struct vigie_request *request;
	const char *name; /* the query's, in lower case, with its final dot */
	const char *zone;
	const char *class;
	const char *type;
	const struct regex *regex; /* NULL: there is no pattern, and the only group is the name */
	const struct regex_groups *groups;
};

/* Compiles a word's text into the arena. NULL: `error` names the word and what is wrong in it. */
const struct template_text *template_text_new(struct vigie_arena *arena, const struct vigie_word *word,
					      struct vigie_error *error);

/* Whether it has no actions: it is always the same. */
bool template_text_is_constant(const struct template_text *text);

/* The first named group, in the order of the text, that none of the patterns has; NULL when there is none. */
const char *template_text_missing_group(const struct template_text *text, const struct regex *const *patterns,
					size_t count);

/* Writes the text, terminated, into `size` bytes. False when it does not fit, or when an action fails. */
bool template_text_fill(const struct template_text *text, const struct template_data *data, char *out,
			size_t size);

#endif

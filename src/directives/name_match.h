/* How `rewrite` picks names: exact, prefix, suffix, substring or regex, on the text form of a name, in lower
 * case and with its final dot. */
#ifndef VIGIE_DIRECTIVES_NAME_MATCH_H
#define VIGIE_DIRECTIVES_NAME_MATCH_H

#include "regex.h"
#include "vigie/directive.h"

enum name_match_kind {
	NAME_MATCH_EXACT,
	NAME_MATCH_PREFIX,
	NAME_MATCH_SUFFIX,
	NAME_MATCH_SUBSTRING,
	NAME_MATCH_REGEX,
	NAME_MATCH_KINDS
};

struct name_match {
	enum name_match_kind kind;
	const char *text; /* what is looked for */
	size_t length;
	const struct regex *regex; /* NAME_MATCH_REGEX */
};

/* NAME_MATCH_KINDS when the word is none of them. */
enum name_match_kind name_match_kind(const char *word);

/* Reads what is looked for. */
enum vigie_status name_match_read(struct name_match *match, struct vigie_block *block,
				  enum name_match_kind kind, const struct vigie_word *word,
				  struct vigie_error *error);

/* Whether it matches. With `renamed` (VIGIE_NAME_TEXT_MAX bytes) the name is written there as `to` says;
 * false, too, when that is too long. */
bool name_match(const struct name_match *match, const char *name, const char *to, char *renamed);

/* The word in lower case with a final dot, in the arena; NULL when memory is out. */
char *name_match_normal(struct vigie_arena *arena, const char *word);

#endif

/* Regular expressions of Corefiles. They are written for Go's engine (RE2's syntax), which needs linear time;
 * this one is PCRE2, which reads that syntax and backtracks: its work is bounded by a limit, beyond which a
 * text counts as no match. */
#ifndef VIGIE_DIRECTIVES_REGEX_H
#define VIGIE_DIRECTIVES_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "vigie/arena.h"
#include "vigie/corefile.h"

enum {
	REGEX_PATTERN_MAX = 10000, /* bytes of a pattern: CoreDNS' limit */
	REGEX_GROUPS_MAX = 64,     /* groups, the whole match included, that are told of */
	REGEX_STEPS_MAX = 100000   /* of the matcher for one text: 1.4 ms when it was measured */
};

struct regex;

/* What a match found; `start` SIZE_MAX for a group that took no part. */
struct regex_groups {
	const char *text; /* borrowed: what was matched */
	size_t count;     /* of the pattern's groups with the whole match, number 0 */
	struct {
		size_t start;
		size_t end;
	} group[REGEX_GROUPS_MAX];
};

/* Compiles a word's text; everything lives in the arena. NULL: `error` names the word and what is wrong. */
const struct regex *regex_new(struct vigie_arena *arena, const struct vigie_word *word,
			      struct vigie_error *error);

/* Whether the pattern is found anywhere in the text. `groups` may be NULL. Any thread. */
bool regex_match(const struct regex *regex, const char *text, size_t length, struct regex_groups *groups);

/* Groups of the pattern, the whole match not counted. */
size_t regex_group_count(const struct regex *regex);

/* The number of a named group (?P<NAME>…); 0 when there is none. */
unsigned regex_group_number(const struct regex *regex, const char *name);

/* Copies `to` with "{0}", "{1}"… replaced by the groups, into `size` bytes. False when it does not fit. */
bool regex_fill(const char *to, const struct regex_groups *groups, char *text, size_t size);

/* VIGIE_EINVAL, and `error` set, when `word` names a group that the pattern does not have. */
enum vigie_status regex_check_fill(const struct regex *regex, const struct vigie_word *word,
				   struct vigie_error *error);

#endif

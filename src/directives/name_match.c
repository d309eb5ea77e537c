#include "name_match.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum name_match_kind name_match_kind(const char *word)
{
	static const char *const words[NAME_MATCH_KINDS] = {"exact", "prefix", "suffix", "substring",
							    "regex"};
	int kind = 0;

	while (kind < NAME_MATCH_KINDS && strcasecmp(words[kind], word) != 0)
		kind++;
	return (enum name_match_kind)kind;
}

char *name_match_normal(struct vigie_arena *arena, const char *word)
{
	size_t length = strlen(word);
	char *text = vigie_arena_alloc(arena, length + 2);

	if (!text)
		return NULL;
	vigie_name_fold((uint8_t *)text, (const uint8_t *)word, length);
	if (length == 0 || text[length - 1] != '.')
		text[length] = '.';
	return text;
}

enum vigie_status name_match_read(struct name_match *match, struct vigie_block *block,
				  enum name_match_kind kind, const struct vigie_word *word,
				  struct vigie_error *error)
{
	match->kind = kind;
	if (kind == NAME_MATCH_REGEX) {
		match->regex = regex_new(block->arena, word, error);
		return match->regex ? VIGIE_OK : VIGIE_EINVAL;
	}
	if (!word->text[0])
		return vigie_word_error(error, word, "'' is no part of a name");
	match->text = name_match_normal(block->arena, word->text);
	if (!match->text)
		return vigie_error_memory(error);
	match->length = strlen(match->text);
	return VIGIE_OK;
}

static bool put_together(char *renamed, const char *before, size_t before_length, const char *to,
			 const char *after)
{
	int length =
		snprintf(renamed, VIGIE_NAME_TEXT_MAX, "%.*s%s%s", (int)before_length, before, to, after);

	return length >= 0 && length < VIGIE_NAME_TEXT_MAX;
}

static bool match_substring(const struct name_match *match, const char *name, const char *to, char *renamed)
{
	const char *found = strstr(name, match->text);
	size_t at = 0;

	if (!found || !renamed)
		return found != NULL;
	/* All of them are replaced, one after another. */
	for (; found; name = found + match->length, found = strstr(name, match->text)) {
		size_t before = (size_t)(found - name);
		int length =
			snprintf(renamed + at, VIGIE_NAME_TEXT_MAX - at, "%.*s%s", (int)before, name, to);

		if (length < 0 || (size_t)length >= VIGIE_NAME_TEXT_MAX - at)
			return false;
		at += (size_t)length;
	}
	return snprintf(renamed + at, VIGIE_NAME_TEXT_MAX - at, "%s", name) < (int)(VIGIE_NAME_TEXT_MAX - at);
}

bool name_match(const struct name_match *match, const char *name, const char *to, char *renamed)
{
	size_t length = strlen(name);
	struct regex_groups groups;

	switch (match->kind) {
	case NAME_MATCH_EXACT:
		return strcmp(match->text, name) == 0 && (!renamed || put_together(renamed, "", 0, to, ""));
	case NAME_MATCH_PREFIX:
		return strncmp(match->text, name, match->length) == 0 &&
		       (!renamed || put_together(renamed, "", 0, to, name + match->length));
	case NAME_MATCH_SUFFIX:
		return length >= match->length && strcmp(match->text, name + length - match->length) == 0 &&
		       (!renamed || put_together(renamed, name, length - match->length, to, ""));
	case NAME_MATCH_SUBSTRING:
		return match_substring(match, name, to, renamed);
	case NAME_MATCH_REGEX:
		return regex_match(match->regex, name, length, renamed ? &groups : NULL) &&
		       (!renamed || regex_fill(to, &groups, renamed, VIGIE_NAME_TEXT_MAX));
	case NAME_MATCH_KINDS:
		break;
	}
	return false;
}

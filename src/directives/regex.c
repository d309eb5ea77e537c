#include "regex.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "vigie/log.h"

enum {
	HEAP_MAX = 1024, /* KiB for the matcher's backtracking */
	ERROR_MAX = 128  /* bytes of PCRE2's messages */
};

struct regex {
	const char *pattern;
	pcre2_code *code;
	pcre2_match_context *limits;
	uint32_t groups;
	atomic_bool told; /* that the limit was reached: once is enough for the log */
};

/* What is compiled is never freed but with the arena. */
static void *arena_malloc(size_t size, void *arena)
{
	return vigie_arena_alloc(arena, size);
}

static void arena_keep(void *memory, void *arena)
{
}

const struct regex *regex_new(struct vigie_arena *arena, const struct vigie_word *word,
			      struct vigie_error *error)
{
	/* `$` is the end of the text alone, as in RE2; \C reads beyond characters. */
	const uint32_t options = PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C;
	pcre2_general_context *memory = pcre2_general_context_create(arena_malloc, arena_keep, arena);
	pcre2_compile_context *compile = memory ? pcre2_compile_context_create(memory) : NULL;
	struct regex *regex = vigie_arena_alloc(arena, sizeof(*regex));
	size_t length = strlen(word->text);
	PCRE2_SIZE offset;
	int code;

	if (!compile || !regex) {
		vigie_error_memory(error);
		return NULL;
	}
	if (length > REGEX_PATTERN_MAX) {
		vigie_word_error(error, word, "'%.40s…' is longer than the %d bytes that a pattern may have",
				 word->text, REGEX_PATTERN_MAX);
		return NULL;
	}
	pcre2_set_newline(compile, PCRE2_NEWLINE_LF);
	regex->pattern = word->text;
	regex->code = pcre2_compile((PCRE2_SPTR)word->text, length, options, &code, &offset, compile);
	if (!regex->code) {
		char message[ERROR_MAX];

		pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof(message));
		vigie_word_error(error, word, "'%s' is no regular expression: %s, at offset %zu", word->text,
				 message, (size_t)offset);
		return NULL;
	}
	regex->limits = pcre2_match_context_create(memory);
	if (!regex->limits) {
		vigie_error_memory(error);
		return NULL;
	}
	pcre2_set_match_limit(regex->limits, REGEX_STEPS_MAX);
	pcre2_set_heap_limit(regex->limits, HEAP_MAX);
	pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &regex->groups);
	return regex;
}

/* A text that cannot be matched within the limits is no match: the rule does not apply. */
static void tell(const struct regex *regex, int code)
{
	char message[ERROR_MAX];

	if (code == PCRE2_ERROR_NOMATCH || atomic_exchange(&((struct regex *)regex)->told, true))
		return;
	pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof(message));
	vigie_log(VIGIE_LOG_WARNING, NULL, "regular expression '%s': %s: it counts as no match; said once",
		  regex->pattern, message);
}

bool regex_match(const struct regex *regex, const char *text, size_t length, struct regex_groups *groups)
{
	uint32_t pairs = groups ? REGEX_GROUPS_MAX : 1;
	pcre2_match_data *found = pcre2_match_data_create(pairs, NULL);
	const PCRE2_SIZE *offsets;
	int code;

	if (!found)
		return false;
	code = pcre2_match(regex->code, (PCRE2_SPTR)text, length, 0, 0, found, regex->limits);
	if (code < 0)
		tell(regex, code);
	if (code >= 0 && groups) {
		offsets = pcre2_get_ovector_pointer(found);
		groups->text = text;
		groups->count = regex->groups + 1 < REGEX_GROUPS_MAX ? regex->groups + 1 : REGEX_GROUPS_MAX;
		for (size_t i = 0; i < groups->count; i++) {
			groups->group[i].start = offsets[2 * i] == PCRE2_UNSET ? SIZE_MAX : offsets[2 * i];
			groups->group[i].end = offsets[2 * i + 1];
		}
	}
	pcre2_match_data_free(found);
	return code >= 0;
}

size_t regex_group_count(const struct regex *regex)
{
	return regex->groups;
}

unsigned regex_group_number(const struct regex *regex, const char *name)
{
	int number = pcre2_substring_number_from_name(regex->code, (PCRE2_SPTR)name);

	return number > 0 ? (unsigned)number : 0;
}

/* The number in "{12}"; `*end` is behind it. SIZE_MAX when it is none. */
static size_t read_reference(const char *text, const char **end)
{
	size_t number = 0;

	if (text[0] != '{' || text[1] < '0' || text[1] > '9')
		return SIZE_MAX;
	for (text++; *text >= '0' && *text <= '9' && number < REGEX_PATTERN_MAX; text++)
		number = number * 10 + (size_t)(*text - '0');
	if (*text != '}')
		return SIZE_MAX;
	*end = text + 1;
	return number;
}

bool regex_fill(const char *to, const struct regex_groups *groups, char *text, size_t size)
{
	size_t at = 0;

	while (*to) {
		const char *end = to + 1;
		size_t number = read_reference(to, &end);
		const char *from = to;
		size_t length = 1;

		if (number < groups->count) {
			bool took_part = groups->group[number].start != SIZE_MAX;

			from = took_part ? groups->text + groups->group[number].start : "";
			length = took_part ? groups->group[number].end - groups->group[number].start : 0;
		} else {
			end = to + 1; /* as it stands */
		}
		if (length >= size - at)
			return false;
		memcpy(text + at, from, length);
		at += length;
		to = end;
	}
	text[at] = 0;
	return true;
}

enum vigie_status regex_check_fill(const struct regex *regex, const struct vigie_word *word,
				   struct vigie_error *error)
{
	for (const char *at = word->text; *at; at++) {
		const char *end;
		size_t number = read_reference(at, &end);

		if (number != SIZE_MAX && number > regex->groups)
			return vigie_word_error(error, word,
						"'%s': the pattern '%s' has %u groups, there is no {%zu}",
						word->text, regex->pattern, regex->groups, number);
	}
	return VIGIE_OK;
}

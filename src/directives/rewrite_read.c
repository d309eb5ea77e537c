/* The rules of `rewrite`, read. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "directives.h"
#include "rewrite.h"
#include "vigie/text.h"

/* A rule's words, whether they stand on its line or in its block. */
struct words {
	struct vigie_block *block;
	const struct vigie_statement *statement;
	const struct vigie_word **word;
	size_t count;
	size_t at; /* the next one */
	struct vigie_error *error;
};

static enum vigie_status collect(struct words *words)
{
	const struct vigie_statement *statement = words->statement;
	size_t most = statement->arg_count;

	if (statement->body && statement->arg_count >= 2)
		return vigie_statement_plain(statement, words->error);
	for (size_t i = 0; i < statement->body_count; i++)
		most += 1 + statement->body[i].arg_count;
	words->word = vigie_arena_alloc(words->block->arena, (most + 1) * sizeof(const void *));
	if (!words->word)
		return vigie_error_memory(words->error);
	for (size_t i = 0; i < statement->arg_count; i++)
		words->word[words->count++] = &statement->args[i];
	for (size_t i = 0; i < statement->body_count; i++) {
		const struct vigie_statement *line = &statement->body[i];

		if (line->body)
			return vigie_statement_plain(line, words->error);
		words->word[words->count++] = &line->name;
		for (size_t a = 0; a < line->arg_count; a++)
			words->word[words->count++] = &line->args[a];
	}
	return VIGIE_OK;
}

static size_t left(const struct words *words)
{
	return words->count - words->at;
}

static bool next_is(const struct words *words, const char *text)
{
	return left(words) > 0 && strcasecmp(words->word[words->at]->text, text) == 0;
}

/* The next word; NULL, and the error set, when there is none. `what` says what is missing. */
static const struct vigie_word *next(struct words *words, const char *what)
{
	if (left(words) > 0)
		return words->word[words->at++];
	vigie_word_error(
		words->error, words->count > 0 ? words->word[words->count - 1] : &words->statement->name,
		"'%s': %s is missing behind it",
		words->count > 0 ? words->word[words->count - 1]->text : words->statement->name.text, what);
	return NULL;
}

static enum vigie_status end(const struct words *words)
{
	if (left(words) == 0)
		return VIGIE_OK;
	return vigie_word_error(words->error, words->word[words->at],
				"'%s' is one word too many for this rule", words->word[words->at]->text);
}

/* What a name becomes: for a pattern, with references to its groups. */
static const char *read_to(struct words *words, const struct name_match *match)
{
	const struct vigie_word *word = next(words, "the name that it becomes");
	char *text;

	if (!word || (match->kind == NAME_MATCH_REGEX && regex_check_fill(match->regex, word, words->error)))
		return NULL;
	text = name_match_normal(words->block->arena, word->text);
	if (!text)
		vigie_error_memory(words->error);
	return text;
}

/* Reads [exact|prefix|suffix|substring|regex] FROM. The kind may be left out when `behind` words stand behind
 * FROM and no more. */
static enum vigie_status read_match(struct words *words, size_t behind, struct name_match *match)
{
	enum name_match_kind kind = NAME_MATCH_EXACT;
	const struct vigie_word *from;

	if (left(words) > behind + 1) {
		const struct vigie_word *word = words->word[words->at++];

		kind = name_match_kind(word->text);
		if (kind == NAME_MATCH_KINDS)
			return vigie_word_error(words->error, word,
						"'%s' is not exact, prefix, suffix, substring or regex: it "
						"is needed when more than a "
						"name is said",
						word->text);
	}
	from = next(words, "a name or pattern");
	return from ? name_match_read(match, words->block, kind, from, words->error) : VIGIE_EINVAL;
}

static struct rewrite_back *add_back(struct words *words, struct rewrite_rule *rule)
{
	if (!rule->backs) {
		rule->backs =
			vigie_arena_alloc(words->block->arena, (words->count + 2) * sizeof(*rule->backs));
		if (!rule->backs)
			return NULL;
	}
	return &rule->backs[rule->back_count++];
}

/* For a suffix `answer auto` is the same exchange the other way round. */
static enum vigie_status add_suffix_back(struct words *words, struct rewrite_rule *rule)
{
	struct rewrite_back *back = add_back(words, rule);

	if (!back)
		return vigie_error_memory(words->error);
	*back = (struct rewrite_back){
		.owners = true,
		.values = true,
		.match = {.kind = NAME_MATCH_SUFFIX, .text = rule->to, .length = strlen(rule->to)},
		.to = rule->match.text,
	};
	return VIGIE_OK;
}

/* One `name FROM TO` or `value FROM TO` behind `answer`. */
static enum vigie_status read_back(struct words *words, struct rewrite_rule *rule, bool values)
{
	struct rewrite_back *back = add_back(words, rule);
	const struct vigie_word *from = next(words, "a pattern");
	enum vigie_status status;

	if (!from)
		return VIGIE_EINVAL;
	if (!back)
		return vigie_error_memory(words->error);
	back->owners = !values;
	back->values = values;
	status = name_match_read(&back->match, words->block, NAME_MATCH_REGEX, from, words->error);
	if (status)
		return status;
	back->to = read_to(words, &back->match);
	return back->to ? VIGIE_OK : VIGIE_EINVAL;
}

/* answer auto|name FROM TO|value FROM TO, and more of these, with or without `answer`. `answer name auto` is
 * how CoreDNS' manual writes `answer auto` in one place. */
static enum vigie_status read_answer(struct words *words, struct rewrite_rule *rule)
{
	const struct vigie_word *name_rule = NULL;
	bool automatic = false;
	enum vigie_status status;

	if (!next_is(words, "answer"))
		return end(words);
	while (left(words) > 0) {
		const struct vigie_word *what;

		if (next_is(words, "answer"))
			words->at++;
		what = next(words, "auto, name or value");
		if (!what)
			return VIGIE_EINVAL;
		status = VIGIE_OK;
		if (strcasecmp(what->text, "auto") == 0 ||
		    (strcasecmp(what->text, "name") == 0 && next_is(words, "auto"))) {
			words->at += strcasecmp(what->text, "auto") != 0;
			automatic = true;
		} else if (strcasecmp(what->text, "name") == 0) {
			name_rule = what;
			status = read_back(words, rule, false);
		} else if (strcasecmp(what->text, "value") == 0) {
			status = read_back(words, rule, true);
		} else {
			status = vigie_word_error(words->error, what,
						  "'answer' takes auto, name or value, not '%s'", what->text);
		}
		if (status)
			return status;
	}
	if (automatic && name_rule)
		return vigie_word_error(
			words->error, name_rule,
			"'answer name' and 'answer auto' exclude each other: both say what the "
			"owners become");
	if (automatic && rule->match.kind == NAME_MATCH_SUFFIX)
		return add_suffix_back(words, rule);
	rule->automatic |= automatic;
	return VIGIE_OK;
}

static enum vigie_status read_name(struct words *words, struct rewrite_rule *rule)
{
	enum vigie_status status = read_match(words, 1, &rule->match);

	if (status)
		return status;
	rule->to = read_to(words, &rule->match);
	if (!rule->to)
		return VIGIE_EINVAL;
	rule->automatic = rule->match.kind == NAME_MATCH_EXACT;
	return read_answer(words, rule);
}

/* The target of a CNAME: prefixes and substrings may end within a label here. */
static enum vigie_status read_cname(struct words *words, struct rewrite_rule *rule)
{
	enum vigie_status status = read_match(words, 1, &rule->match);
	const struct vigie_word *from;

	if (status)
		return status;
	from = words->word[words->at - 1];
	rule->to = read_to(words, &rule->match);
	if (!rule->to)
		return VIGIE_EINVAL;
	if (rule->match.kind == NAME_MATCH_PREFIX || rule->match.kind == NAME_MATCH_SUBSTRING) {
		const char *to = words->word[words->at - 1]->text;

		rule->match.length = strlen(from->text);
		((char *)rule->match.text)[rule->match.length] = 0;
		((char *)rule->to)[strlen(to)] = 0;
	}
	return end(words);
}

/* Types and classes: FROM TO. */
static enum vigie_status read_numbers(struct words *words, struct rewrite_rule *rule, const char *what,
				      enum vigie_status (*read)(uint16_t *number, const char *text))
{
	uint16_t *const numbers[] = {&rule->number_from, &rule->number_to};

	for (int i = 0; i < 2; i++) {
		const struct vigie_word *word = next(words, what);

		if (!word)
			return VIGIE_EINVAL;
		if (read(numbers[i], word->text))
			return vigie_word_error(words->error, word, "'%s' is not %s", word->text, what);
	}
	return end(words);
}

static enum vigie_status read_rcode_text(uint16_t *rcode, const char *text)
{
	char *last;
	unsigned long number = strtoul(text, &last, 10);

	if (text[0] < '0' || text[0] > '9')
		return vigie_rcode_from_text(rcode, text);
	*rcode = (uint16_t)number;
	return *last || number > 23 ? VIGIE_EINVAL : VIGIE_OK;
}

static enum vigie_status read_rcode(struct words *words, struct rewrite_rule *rule)
{
	enum vigie_status status = read_match(words, 2, &rule->match);

	return status ? status
		      : read_numbers(words, rule, "a response code, such as NXDOMAIN or 3", read_rcode_text);
}

/* A number of seconds that ends at `stop`; -1 when it is none. */
static int64_t read_seconds(const char *text, const char *stop)
{
	int64_t seconds = 0;

	for (; text < stop; text++) {
		if (*text < '0' || *text > '9' || seconds > UINT32_MAX)
			return -1;
		seconds = seconds * 10 + *text - '0';
	}
	return seconds > UINT32_MAX ? -1 : seconds;
}

/* "30", "30-300", "-300", "30-". */
static enum vigie_status read_ttl(struct words *words, struct rewrite_rule *rule)
{
	enum vigie_status status = read_match(words, 1, &rule->match);
	const struct vigie_word *word = status ? NULL : next(words, "the seconds");
	const char *dash;
	const char *stop;
	int64_t least;
	int64_t most;

	if (!word)
		return VIGIE_EINVAL;
	dash = strchr(word->text, '-');
	stop = word->text + strlen(word->text);
	least = read_seconds(word->text, dash ? dash : stop);
	most = !dash ? least : dash + 1 == stop ? INT32_MAX : read_seconds(dash + 1, stop);
	if (least < 0 || most < least || stop == word->text || strcmp(word->text, "-") == 0)
		return vigie_word_error(
			words->error, word,
			"'%s' is neither seconds nor a range of them, such as 30, 30-300, 30- or -300",
			word->text);
	rule->ttl_least = (uint32_t)least;
	rule->ttl_most = (uint32_t)most;
	return end(words);
}

enum vigie_status rewrite_read_rule(struct vigie_block *block, const struct vigie_statement *statement,
				    struct rewrite_rule *rule, struct vigie_error *error)
{
	static const char *const fields[REWRITE_FIELDS] = {"name", "type",  "class", "edns0",
							   "ttl",  "cname", "rcode"};
	struct words words = {.block = block, .statement = statement, .error = error};
	enum vigie_status status = collect(&words);
	const struct vigie_word *field;

	if (status)
		return status;
	if (next_is(&words, "continue") || next_is(&words, "stop"))
		rule->goes_on = strcasecmp(words.word[words.at++]->text, "continue") == 0;
	field = next(&words, "what is rewritten (name, type, class, edns0, ttl, cname or rcode)");
	if (!field)
		return VIGIE_EINVAL;
	while (rule->field < REWRITE_FIELDS && strcasecmp(fields[rule->field], field->text) != 0)
		rule->field++;
	switch (rule->field) {
	case REWRITE_NAME:
		return read_name(&words, rule);
	case REWRITE_TYPE:
		return read_numbers(&words, rule, "a record type, such as A or MX", vigie_type_from_text);
	case REWRITE_CLASS:
		return read_numbers(&words, rule, "a class, such as IN or CH", vigie_class_from_text);
	case REWRITE_EDNS0:
		return rewrite_read_option(block, statement, words.word + words.at, left(&words),
					   &rule->option, error);
	case REWRITE_TTL:
		return read_ttl(&words, rule);
	case REWRITE_CNAME:
		return read_cname(&words, rule);
	case REWRITE_RCODE:
		return read_rcode(&words, rule);
	case REWRITE_FIELDS:
		break;
	}
	if (strcasecmp(field->text, "answer") == 0)
		return vigie_word_error(error, field,
					"'answer' stands behind a name rule, not at the beginning");
	return vigie_word_error(error, field,
				"'rewrite' changes name, type, class, edns0, ttl, cname or rcode, not '%s'",
				field->text);
}

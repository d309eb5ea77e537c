#include "token.h"

#include <string.h>

struct lexer {
	struct vigie_arena *arena;
	struct vigie_error *error;
	const char *path;
	const char *at;
	const char *end;
	unsigned line;
	bool first;                                         /* no word was seen on this line yet */
	struct vigie_word open[VIGIE_COREFILE_NESTING_MAX]; /* the braces that are not closed yet */
	size_t open_count;
};

static enum vigie_status out_of_memory(const struct lexer *lexer)
{
	return vigie_error_set(lexer->error, VIGIE_ENOMEM, "%s: out of memory", lexer->path);
}

/* Bytes of the white space at `at`, 0 when there is none. Beyond ASCII: the spaces of Unicode, which come
 * into Corefiles by copying from web pages. */
static size_t space_length(const char *at, const char *end)
{
	static const char *const wide[] = {
		"\u00a0", "\u1680", "\u2000", "\u2001", "\u2002",   "\u2003", "\u2004",
		"\u2005", "\u2006", "\u2007", "\u2008", "\u2009",   "\u200a", "\u2028",
		"\u2029", "\u202f", "\u205f", "\u3000", "\xc2\x85",
	};

	if (*at == ' ' || (*at >= '\t' && *at <= '\r'))
		return 1;
	if ((*at & 0x80) == 0)
		return 0;
	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
		size_t length = strlen(wide[i]);

		if ((size_t)(end - at) >= length && memcmp(at, wide[i], length) == 0)
			return length;
	}
	return 0;
}

/* Moves to the next word, over white space and comments. */
static void skip_space(struct lexer *lexer)
{
	bool comment = false;

	while (lexer->at < lexer->end) {
		size_t length = space_length(lexer->at, lexer->end);

		if (*lexer->at == '\n') {
			lexer->line++;
			lexer->first = true;
			comment = false;
		} else if (*lexer->at == '#') {
			comment = true;
		} else if (length == 0 && !comment) {
			return;
		}
		lexer->at += length ? length : 1;
	}
}

/* Reads a word in double quotes, which may hold newlines. A backslash shields the character behind it from
 * being the end, and goes away only before a quote: regular expressions are full of backslashes. */
static enum vigie_status read_quoted(struct lexer *lexer, struct vigie_token *token)
{
	const char *from = ++lexer->at;
	size_t length = 0;
	char *text;

	while (lexer->at < lexer->end && *lexer->at != '"') {
		if (*lexer->at == '\\' && lexer->end - lexer->at > 1)
			lexer->at++;
		if (*lexer->at == '\n')
			lexer->line++;
		lexer->at++;
	}
	if (lexer->at == lexer->end)
		return vigie_word_error(lexer->error, &token->word, "this '\"' is never closed");
	text = vigie_arena_strndup(lexer->arena, from, (size_t)(lexer->at - from));
	if (!text)
		return out_of_memory(lexer);
	lexer->at++;
	for (const char *in = text; *in; in++) {
		if (in[0] == '\\' && in[1] == '\\')
			text[length++] = *in++;
		else if (in[0] == '\\' && in[1] == '"')
			in++;
		text[length++] = *in;
	}
	text[length] = 0;
	token->word.text = text;
	return VIGIE_OK;
}

/* What is wrong with the braces in a word that is not a brace; NULL when nothing is. Words such as {$NAME},
 * {combined} and a{2,3} hold pairs, and \{ is a character of a regular expression. */
static const char *brace_trouble(const char *text)
{
	size_t length = strlen(text);
	char last = text[length - 1];
	bool escaped = length > 1 && text[length - 2] == '\\';

	if (text[0] == '{' && !strchr(text, '}'))
		return "'{' needs a space behind it, '{$' and '{%' need their '}'";
	if (last == '{' && !escaped)
		return "'{' needs a space before it";
	if (text[0] == '}')
		return "'}' needs a space or a new line behind it";
	if (last == '}' && !escaped && !strchr(text, '{'))
		return "'}' needs a space before it";
	return NULL;
}

static enum vigie_status read_plain(struct lexer *lexer, struct vigie_token *token)
{
	const char *from = lexer->at;
	const char *trouble;

	while (lexer->at < lexer->end && *lexer->at != '#' && !space_length(lexer->at, lexer->end))
		lexer->at++;
	token->plain = true;
	token->word.text = vigie_arena_strndup(lexer->arena, from, (size_t)(lexer->at - from));
	if (!token->word.text)
		return out_of_memory(lexer);
	if (strcmp(token->word.text, "{") == 0) {
		token->kind = VIGIE_TOKEN_OPEN;
	} else if (strcmp(token->word.text, "}") == 0) {
		token->kind = VIGIE_TOKEN_CLOSE;
	} else {
		trouble = brace_trouble(token->word.text);
		if (trouble)
			return vigie_word_error(lexer->error, &token->word, "'%s': %s", token->word.text,
						trouble);
	}
	return VIGIE_OK;
}

/* Every file balances its own braces, so that a mistake in one is reported there. */
static enum vigie_status check_brace(struct lexer *lexer, const struct vigie_token *token)
{
	if (token->kind == VIGIE_TOKEN_OPEN) {
		if (lexer->open_count == VIGIE_COREFILE_NESTING_MAX)
			return vigie_word_error(lexer->error, &token->word,
						"'{': blocks nest more than %d deep",
						VIGIE_COREFILE_NESTING_MAX);
		lexer->open[lexer->open_count++] = token->word;
	} else if (token->kind == VIGIE_TOKEN_CLOSE) {
		if (lexer->open_count == 0)
			return vigie_word_error(lexer->error, &token->word,
						"'}' closes nothing: no '{' is open here");
		lexer->open_count--;
	}
	return VIGIE_OK;
}

static enum vigie_status fill_environment(struct lexer *lexer, struct vigie_token *token)
{
	enum vigie_status status = vigie_environment_fill(lexer->arena, &token->word.text);

	if (status == VIGIE_ENOSPC)
		return vigie_word_error(lexer->error, &token->word,
					"'%.64s…' is longer than %d bytes with the environment's values",
					token->word.text, VIGIE_COREFILE_MAX);
	return status ? out_of_memory(lexer) : VIGIE_OK;
}

static enum vigie_status zero_byte(struct lexer *lexer, const char *zero)
{
	struct vigie_word place = {.text = "", .file = lexer->path, .line = 1};

	for (const char *at = lexer->at; at < zero; at++)
		place.line += *at == '\n';
	return vigie_word_error(lexer->error, &place, "a zero byte: this is no text file");
}

enum vigie_status vigie_tokens_read(struct vigie_tokens *tokens, struct vigie_arena *arena, const char *path,
				    const char *text, size_t length, struct vigie_error *error)
{
	struct lexer lexer = {.arena = arena, .error = error, .path = path, .at = text, .end = text + length};
	const char *zero = memchr(text, 0, length);
	enum vigie_status status;

	lexer.line = 1;
	lexer.first = true;
	if (zero)
		return zero_byte(&lexer, zero);
	if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		lexer.at += 3; /* a byte order mark */
	for (skip_space(&lexer); lexer.at < lexer.end; skip_space(&lexer)) {
		struct vigie_token token = {.word = {.file = path, .line = lexer.line}, .first = lexer.first};

		lexer.first = false;
		status = *lexer.at == '"' ? read_quoted(&lexer, &token) : read_plain(&lexer, &token);
		if (!status)
			status = check_brace(&lexer, &token);
		if (!status)
			status = fill_environment(&lexer, &token);
		if (status)
			return status;
		tokens->token = vigie_array_grow(arena, tokens->token, &tokens->count, sizeof(token));
		if (!tokens->token)
			return out_of_memory(&lexer);
		tokens->token[tokens->count - 1] = token;
	}
	if (lexer.open_count > 0)
		return vigie_word_error(error, &lexer.open[lexer.open_count - 1],
					"'{' is never closed: a '}' is missing in this file");
	return VIGIE_OK;
}

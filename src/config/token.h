/* Private to the config module: words and braces as the lexer hands them to the parser, and the stream that
 * unfolds imports between the two. */
#ifndef VIGIE_CONFIG_TOKEN_H
#define VIGIE_CONFIG_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "vigie/corefile.h"

enum vigie_token_kind {
	VIGIE_TOKEN_WORD,
	VIGIE_TOKEN_OPEN,  /* { */
	VIGIE_TOKEN_CLOSE, /* } */
	VIGIE_TOKEN_END    /* behind the last word of the main file */
};

struct vigie_token {
	struct vigie_word word; /* environment filled in, quotes taken off */
	enum vigie_token_kind kind;
	bool first; /* the first on its line */
	bool plain; /* written without quotes: may be a keyword, a snippet's name, a list with commas */
};

struct vigie_tokens {
	struct vigie_token *token; /* in an arena */
	size_t count;
};

/* Appends what a file's text holds to `tokens`. Braces are balanced and nest at most
 * VIGIE_COREFILE_NESTING_MAX deep when this succeeds. `path` must live as long as the arena; `text` need not.
 */
enum vigie_status vigie_tokens_read(struct vigie_tokens *tokens, struct vigie_arena *arena, const char *path,
				    const char *text, size_t length, struct vigie_error *error);

/* Replaces {$NAME} and {%NAME%} in a word by the environment's values, once, from left to right; an unset
 * variable is empty. VIGIE_ENOSPC beyond VIGIE_COREFILE_MAX bytes, VIGIE_ENOMEM: the word is as it was then.
 */
enum vigie_status vigie_environment_fill(struct vigie_arena *arena, const char **word);

struct vigie_snippet {
	struct vigie_word name; /* without parentheses */
	struct vigie_tokens body;
};

/* Tokens under way: the main file at the bottom, on top of it the imports that are being read. */
struct vigie_stream {
	struct vigie_arena *arena;
	struct vigie_error *error;
	struct vigie_stream_frame {
		struct vigie_tokens tokens;
		size_t at;
	} frames[VIGIE_COREFILE_IMPORTS_MAX + 1];
	size_t depth; /* of frames in use: at least 1 */
	struct vigie_token end;
	struct vigie_snippet *snippets;
	size_t snippet_count;
	size_t words; /* that were put into the stream */
	size_t files; /* that were read */
};

/* Starts with the main file's tokens. `path` must live as long as the arena. */
enum vigie_status vigie_stream_begin(struct vigie_stream *stream, struct vigie_arena *arena, const char *path,
				     struct vigie_tokens tokens, struct vigie_error *error);

/* The next token, which stays; then the same taken. Never NULL: at the end it is VIGIE_TOKEN_END. */
const struct vigie_token *vigie_stream_peek(struct vigie_stream *stream);
const struct vigie_token *vigie_stream_next(struct vigie_stream *stream);

/* Whether a token in first place of a statement or of a list of keys is the keyword `import`. */
bool vigie_token_is_import(const struct vigie_token *token);

/* Takes `import WORD` from the stream and puts in its place what the word stands for. */
enum vigie_status vigie_stream_import(struct vigie_stream *stream);

/* Whether a token is a snippet's header, "(NAME)". */
bool vigie_token_is_snippet(const struct vigie_token *token);

/* Takes the body of a snippet, braces included, and keeps it under its name. The header was taken before. */
enum vigie_status vigie_stream_define(struct vigie_stream *stream, const struct vigie_token *header);

/* Makes room for one more item, zeroed, at the end of an array in an arena and counts it. Returns the array,
 * which may have moved; NULL when memory is out. */
void *vigie_array_grow(struct vigie_arena *arena, void *array, size_t *count, size_t size);

/* Reads one key of a server block: what it stands for goes to `key` but for the zones, of which there may be
 * several (room as for vigie_zones_from_word). */
enum vigie_status vigie_key_read(struct vigie_arena *arena, const struct vigie_word *word,
				 uint16_t default_port, struct vigie_key *key, struct vigie_name *zones,
				 size_t *zone_count, struct vigie_error *error);

/* vigie_corefile_parse, and vigie_corefile_read_all's part of it when `report` is not NULL. What was read
 * until an error is in `corefile`. */
enum vigie_status vigie_corefile_parse_all(struct vigie_corefile *corefile, struct vigie_arena *arena,
					   const char *path, const char *text, size_t length,
					   uint16_t default_port, vigie_corefile_report *report,
					   void *argument, struct vigie_error *error);

#endif

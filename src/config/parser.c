#include "token.h"

#include <string.h>

struct parser {
	struct vigie_stream stream;
	struct vigie_arena *arena;
	struct vigie_error *error;
	uint16_t default_port;
	vigie_corefile_report *report; /* NULL: the first mistake ends the reading */
	void *report_argument;
	bool told;        /* a mistake was */
	bool lost_key;    /* of the block that is being read */
	size_t key_count; /* of all blocks */
	struct vigie_server_block *blocks;
	size_t block_count;
};

static enum vigie_status out_of_memory(const struct parser *parser)
{
	return vigie_error_set(parser->error, VIGIE_ENOMEM, "%s: out of memory",
			       parser->stream.end.word.file);
}

/* Passes an outcome on, but for a mistake that is told and then left out. */
static enum vigie_status tolerate(struct parser *parser, enum vigie_status status)
{
	if (status != VIGIE_EINVAL || !parser->report ||
	    !parser->report(parser->report_argument, parser->error->text))
		return status;
	parser->told = true;
	return VIGIE_OK;
}

static enum vigie_status read_statements(struct parser *parser, enum vigie_token_kind end,
					 const struct vigie_statement **statements, size_t *count);

/* Takes the braces and what stands in them; the '{' is the next token. */
static enum vigie_status read_body(struct parser *parser, const struct vigie_statement **statements,
				   size_t *count)
{
	static const struct vigie_statement nothing;
	enum vigie_status status;

	vigie_stream_next(&parser->stream);
	status = read_statements(parser, VIGIE_TOKEN_CLOSE, statements, count);
	if (status)
		return status;
	if (*count == 0)
		*statements = &nothing;
	vigie_stream_next(&parser->stream);
	return VIGIE_OK;
}

/* NAME ARGUMENTS… [{ BODY }], up to the end of the line. `{ a b }` on one line is a body, too. */
static enum vigie_status read_statement(struct parser *parser, struct vigie_statement *statement)
{
	struct vigie_word *args = NULL;
	const struct vigie_token *token = vigie_stream_next(&parser->stream);
	enum vigie_status status;

	statement->name = token->word;
	if (token->kind == VIGIE_TOKEN_OPEN)
		return vigie_word_error(
			parser->error, &token->word,
			"'{' stands alone: it belongs at the end of the line that it continues");
	if (!token->word.text[0])
		return vigie_word_error(
			parser->error, &token->word,
			"'': an empty word at the start of a line (is an environment variable unset?)");
	for (;;) {
		token = vigie_stream_peek(&parser->stream);
		if (token->kind != VIGIE_TOKEN_WORD || token->first)
			break;
		args = vigie_array_grow(parser->arena, args, &statement->arg_count, sizeof(*args));
		if (!args)
			return out_of_memory(parser);
		args[statement->arg_count - 1] = vigie_stream_next(&parser->stream)->word;
	}
	statement->args = args;
	if (token->kind != VIGIE_TOKEN_OPEN || token->first)
		return VIGIE_OK;
	status = read_body(parser, &statement->body, &statement->body_count);
	if (status)
		return status;
	token = vigie_stream_peek(&parser->stream);
	if (!token->first && token->kind != VIGIE_TOKEN_CLOSE)
		return vigie_word_error(parser->error, &token->word,
					"'%s' stands behind a '}': it needs a new line", token->word.text);
	return VIGIE_OK;
}

/* Reads statements up to a token of kind `end`, which stays. */
static enum vigie_status read_statements(struct parser *parser, enum vigie_token_kind end,
					 const struct vigie_statement **statements, size_t *count)
{
	struct vigie_statement *list = NULL;

	*count = 0;
	for (;;) {
		const struct vigie_token *token = vigie_stream_peek(&parser->stream);
		enum vigie_status status;

		if (token->kind == end)
			break;
		if (vigie_token_is_import(token)) {
			status = tolerate(parser, vigie_stream_import(&parser->stream));
		} else {
			list = vigie_array_grow(parser->arena, list, count, sizeof(*list));
			status = list ? read_statement(parser, &list[*count - 1]) : out_of_memory(parser);
		}
		if (status)
			return status;
	}
	*statements = list;
	return VIGIE_OK;
}

static const struct vigie_key *find_key(const struct vigie_key *keys, size_t count,
					const struct vigie_key *key)
{
	for (size_t i = 0; i < count; i++)
		if (keys[i].port == key->port && keys[i].transport == key->transport &&
		    keys[i].zone.length == key->zone.length &&
		    memcmp(keys[i].zone.bytes, key->zone.bytes, key->zone.length) == 0)
			return &keys[i];
	return NULL;
}

/* Adds the keys that one word stands for. */
static enum vigie_status add_keys(struct parser *parser, struct vigie_server_block *block,
				  const struct vigie_word *word)
{
	struct vigie_key *keys = (struct vigie_key *)block->keys;
	struct vigie_name zones[VIGIE_ZONES_MAX];
	struct vigie_key key;
	size_t count;
	enum vigie_status status;

	status =
		vigie_key_read(parser->arena, word, parser->default_port, &key, zones, &count, parser->error);
	for (size_t i = 0; !status && i < count; i++) {
		const struct vigie_key *known;
		char text[VIGIE_NAME_TEXT_MAX];

		key.zone = zones[i];
		known = find_key(block->keys, block->key_count, &key);
		if (known)
			return vigie_word_error(
				parser->error, word,
				"'%s': zone '%s' at port %u is a key of this block already, by '%s' at %s:%u",
				word->text, vigie_name_to_text(key.zone.bytes, text), key.port,
				known->word.text, known->word.file, known->word.line);
		if (++parser->key_count > VIGIE_COREFILE_KEYS_MAX)
			return vigie_word_error(parser->error, word,
						"'%s': more than %d keys, networks unfolded", word->text,
						VIGIE_COREFILE_KEYS_MAX);
		block->keys = keys = vigie_array_grow(parser->arena, keys, &block->key_count, sizeof(key));
		if (!keys)
			return out_of_memory(parser);
		keys[block->key_count - 1] = key;
	}
	return status;
}

/* Adds the keys of a word that may be a list with commas. `more` says whether a comma ends it. */
static enum vigie_status split_keys(struct parser *parser, struct vigie_server_block *block,
				    const struct vigie_token *token, bool *more)
{
	const char *text = token->word.text;
	enum vigie_status status = VIGIE_OK;

	*more = false;
	while (*text && !status) {
		size_t length = token->plain ? strcspn(text, ",") : strlen(text);
		struct vigie_word word = token->word;

		word.text = vigie_arena_strndup(parser->arena, text, length);
		if (!word.text)
			return out_of_memory(parser);
		if (length)
			status = add_keys(parser, block, &word);
		if (status) {
			status = tolerate(parser, status);
			parser->lost_key = true;
		}
		*more = text[length] == ',';
		text += length + *more;
	}
	return status;
}

/* Reads the keys of a block; `header` is set when they are the header of a snippet instead. A comma at the
 * end of a line continues the list on the next. */
static enum vigie_status read_keys(struct parser *parser, struct vigie_server_block *block,
				   const struct vigie_token **header)
{
	bool more = true;
	const struct vigie_token *token;

	parser->lost_key = false;
	for (bool begun = false;; begun = true) {
		enum vigie_status status;

		token = vigie_stream_peek(&parser->stream);
		while (vigie_token_is_import(token) && token->first && more) {
			status = tolerate(parser, vigie_stream_import(&parser->stream));
			if (status)
				return status;
			token = vigie_stream_peek(&parser->stream);
		}
		if (token->kind != VIGIE_TOKEN_WORD || (token->first && !more))
			break;
		vigie_stream_next(&parser->stream);
		if (!begun && vigie_token_is_snippet(token)) {
			*header = token;
			return VIGIE_OK;
		}
		status = split_keys(parser, block, token, &more);
		if (status)
			return status;
	}
	if (block->key_count == 0 && (token->kind == VIGIE_TOKEN_END || parser->lost_key))
		return VIGIE_OK;
	if (block->key_count == 0)
		return vigie_word_error(parser->error, &token->word,
					"'%s': a server block needs a key before its '{'", token->word.text);
	if (more)
		return vigie_word_error(parser->error, &block->keys[block->key_count - 1].word,
					"'%s': no key follows the comma behind it",
					block->keys[block->key_count - 1].word.text);
	return VIGIE_OK;
}

/* Reads a server block or a snippet, or nothing at the end of the file. */
static enum vigie_status read_block(struct parser *parser)
{
	struct vigie_server_block block = {0};
	const struct vigie_token *header = NULL;
	const struct vigie_token *token;
	enum vigie_status status = read_keys(parser, &block, &header);

	if (status)
		return status;
	if (header)
		return vigie_stream_define(&parser->stream, header);
	if (block.key_count == 0 && !parser->lost_key)
		return VIGIE_OK;
	token = vigie_stream_peek(&parser->stream);
	if (token->kind == VIGIE_TOKEN_OPEN)
		status = read_body(parser, &block.statements, &block.statement_count);
	else if (parser->block_count == 0)
		status = read_statements(parser, VIGIE_TOKEN_END, &block.statements, &block.statement_count);
	else if (block.key_count > 0)
		status = vigie_word_error(
			parser->error, &block.keys[0].word,
			"'%s' has no '{': only a file with a single server block can do without",
			block.keys[0].word.text);
	if (status || block.key_count == 0)
		return status;
	parser->blocks = vigie_array_grow(parser->arena, parser->blocks, &parser->block_count,
					  sizeof(*parser->blocks));
	if (!parser->blocks)
		return out_of_memory(parser);
	parser->blocks[parser->block_count - 1] = block;
	return VIGIE_OK;
}

enum vigie_status vigie_corefile_parse_all(struct vigie_corefile *corefile, struct vigie_arena *arena,
					   const char *path, const char *text, size_t length,
					   uint16_t default_port, vigie_corefile_report *report,
					   void *argument, struct vigie_error *error)
{
	struct parser parser = {.arena = arena,
				.error = error,
				.default_port = default_port,
				.report = report,
				.report_argument = argument};
	struct vigie_tokens tokens = {0};
	const char *file = vigie_arena_strdup(arena, path);
	enum vigie_status status;

	if (!file)
		return vigie_error_set(error, VIGIE_ENOMEM, "%s: out of memory", path);
	status = vigie_tokens_read(&tokens, arena, file, text, length, error);
	if (!status)
		status = vigie_stream_begin(&parser.stream, arena, file, tokens, error);
	while (!status && vigie_stream_peek(&parser.stream)->kind != VIGIE_TOKEN_END)
		status = read_block(&parser);
	if (!status && parser.block_count == 0 && !parser.told)
		status = vigie_word_error(
			error, &parser.stream.end.word,
			"the Corefile is empty: it needs a server block, such as '. { errors }'");
	*corefile = (struct vigie_corefile){.blocks = parser.blocks, .block_count = parser.block_count};
	return status;
}

enum vigie_status vigie_corefile_parse(struct vigie_corefile *corefile, struct vigie_arena *arena,
				       const char *path, const char *text, size_t length,
				       uint16_t default_port, struct vigie_error *error)
{
	return vigie_corefile_parse_all(corefile, arena, path, text, length, default_port, NULL, NULL, error);
}

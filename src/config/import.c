#include "token.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

#include "vigie/buffer.h"
#include "vigie/log.h"

static enum vigie_status out_of_memory(const struct vigie_stream *stream, const struct vigie_word *word)
{
	return vigie_error_set(stream->error, VIGIE_ENOMEM, "%s: out of memory", word->file);
}

/* Puts tokens in front of what is left. */
static enum vigie_status push(struct vigie_stream *stream, struct vigie_tokens tokens,
			      const struct vigie_word *cause)
{
	if (stream->depth > VIGIE_COREFILE_IMPORTS_MAX)
		return vigie_word_error(
			stream->error, cause,
			"import '%s': imports nest more than %d deep, something imports itself", cause->text,
			VIGIE_COREFILE_IMPORTS_MAX);
	stream->words += tokens.count;
	if (stream->words > VIGIE_COREFILE_WORDS_MAX)
		return vigie_word_error(
			stream->error, cause,
			"more than %d words in all files together, imports unfolded (last: '%s')",
			VIGIE_COREFILE_WORDS_MAX, cause->text);
	stream->frames[stream->depth++] = (struct vigie_stream_frame){.tokens = tokens};
	return VIGIE_OK;
}

enum vigie_status vigie_stream_begin(struct vigie_stream *stream, struct vigie_arena *arena, const char *path,
				     struct vigie_tokens tokens, struct vigie_error *error)
{
	*stream = (struct vigie_stream){.arena = arena, .error = error};
	stream->end.kind = VIGIE_TOKEN_END;
	stream->end.first = true;
	stream->end.word = (struct vigie_word){.text = "", .file = path, .line = 1};
	if (tokens.count > 0)
		stream->end.word.line = tokens.token[tokens.count - 1].word.line;
	return push(stream, tokens, &stream->end.word);
}

const struct vigie_token *vigie_stream_peek(struct vigie_stream *stream)
{
	struct vigie_stream_frame *frame = &stream->frames[stream->depth - 1];

	while (frame->at == frame->tokens.count) {
		if (stream->depth == 1)
			return &stream->end;
		stream->depth--;
		frame--;
	}
	return &frame->tokens.token[frame->at];
}

const struct vigie_token *vigie_stream_next(struct vigie_stream *stream)
{
	const struct vigie_token *token = vigie_stream_peek(stream);

	if (token->kind != VIGIE_TOKEN_END)
		stream->frames[stream->depth - 1].at++;
	return token;
}

bool vigie_token_is_import(const struct vigie_token *token)
{
	return token->kind == VIGIE_TOKEN_WORD && token->plain && strcmp(token->word.text, "import") == 0;
}

bool vigie_token_is_snippet(const struct vigie_token *token)
{
	size_t length = strlen(token->word.text);

	return token->kind == VIGIE_TOKEN_WORD && token->plain && length >= 2 && token->word.text[0] == '(' &&
	       token->word.text[length - 1] == ')';
}

static const struct vigie_snippet *find_snippet(const struct vigie_stream *stream, const char *name)
{
	for (size_t i = 0; i < stream->snippet_count; i++)
		if (strcmp(stream->snippets[i].name.text, name) == 0)
			return &stream->snippets[i];
	return NULL;
}

enum vigie_status vigie_stream_define(struct vigie_stream *stream, const struct vigie_token *header)
{
	struct vigie_snippet snippet = {.name = header->word};
	const struct vigie_snippet *known;
	const struct vigie_token *token = vigie_stream_next(stream);
	unsigned depth = 1;

	snippet.name.text =
		vigie_arena_strndup(stream->arena, header->word.text + 1, strlen(header->word.text) - 2);
	if (!snippet.name.text)
		return out_of_memory(stream, &header->word);
	if (!snippet.name.text[0])
		return vigie_word_error(stream->error, &header->word, "'()': a snippet needs a name");
	known = find_snippet(stream, snippet.name.text);
	if (known)
		return vigie_word_error(stream->error, &header->word,
					"snippet '%s' is defined at %s:%u already", header->word.text,
					known->name.file, known->name.line);
	if (token->kind != VIGIE_TOKEN_OPEN)
		return vigie_word_error(stream->error, &header->word,
					"snippet '%s' needs a '{' behind its name", header->word.text);

	/* A file's braces are balanced: the body stands in one piece. Imports in it are unfolded where it is
	 * used. */
	snippet.body.token =
		&stream->frames[stream->depth - 1].tokens.token[stream->frames[stream->depth - 1].at];
	for (;;) {
		token = vigie_stream_next(stream);
		if (token->kind == VIGIE_TOKEN_OPEN)
			depth++;
		else if (token->kind == VIGIE_TOKEN_CLOSE && --depth == 0)
			break;
		snippet.body.count++;
	}
	stream->snippets =
		vigie_array_grow(stream->arena, stream->snippets, &stream->snippet_count, sizeof(snippet));
	if (!stream->snippets)
		return out_of_memory(stream, &header->word);
	stream->snippets[stream->snippet_count - 1] = snippet;
	return VIGIE_OK;
}

/* The path of a file or pattern, relative to the file that names it. In a pattern the directory of that file
 * is escaped: only the word itself may hold wildcards. NULL when memory is out. */
static char *resolve(const struct vigie_stream *stream, const struct vigie_word *word, bool pattern)
{
	const char *slash = strrchr(word->file, '/');
	size_t directory = slash && word->text[0] != '/' ? (size_t)(slash + 1 - word->file) : 0;
	char *path = vigie_arena_alloc(stream->arena, directory * 2 + strlen(word->text) + 1);
	char *out = path;

	if (!path)
		return NULL;
	for (size_t i = 0; i < directory; i++) {
		if (pattern && strchr("*?[\\", word->file[i]))
			*out++ = '\\';
		*out++ = word->file[i];
	}
	strcpy(out, word->text);
	return path;
}

/* Reads one file behind the tokens that are there. `path` must live as long as the arena. */
static enum vigie_status read_file(struct vigie_stream *stream, const struct vigie_word *word,
				   const char *path, struct vigie_tokens *tokens)
{
	struct vigie_buffer buffer;
	struct stat file;
	enum vigie_status status;

	if (++stream->files > VIGIE_COREFILE_FILES_MAX)
		return vigie_word_error(stream->error, word, "import '%s': more than %d files are imported",
					word->text, VIGIE_COREFILE_FILES_MAX);
	if (stat(path, &file) < 0)
		return vigie_word_error(stream->error, word,
					"import '%s': no snippet has that name, and file '%s': %s",
					word->text, path, strerror(errno));
	if (!S_ISREG(file.st_mode))
		return vigie_word_error(stream->error, word, "import '%s': '%s' is not a file", word->text,
					path);
	vigie_buffer_init(&buffer, VIGIE_COREFILE_MAX + 1);
	status = vigie_buffer_read_file(&buffer, path);
	if (status == VIGIE_EIO)
		status = vigie_word_error(stream->error, word, "import '%s': file '%s': %s", word->text, path,
					  strerror(errno));
	else if (status == VIGIE_ENOSPC)
		status = vigie_word_error(stream->error, word,
					  "import '%s': file '%s' is larger than %d bytes", word->text, path,
					  VIGIE_COREFILE_MAX);
	else if (status)
		status = out_of_memory(stream, word);
	else
		status = vigie_tokens_read(tokens, stream->arena, path, (const char *)buffer.data,
					   buffer.length, stream->error);
	vigie_buffer_fini(&buffer);
	return status;
}

/* Reads all files that match, in the order of their names. None is no error: whoever adds the first one later
 * needs no change here. */
static enum vigie_status read_pattern(struct vigie_stream *stream, const struct vigie_word *word,
				      const char *pattern, struct vigie_tokens *tokens)
{
	enum vigie_status status = VIGIE_OK;
	glob_t matches = {0};

	if (glob(pattern, 0, NULL, &matches) == GLOB_NOSPACE)
		status = out_of_memory(stream, word);
	else if (matches.gl_pathc == 0)
		vigie_log(VIGIE_LOG_WARNING, NULL, "%s:%u: import '%s': no file matches", word->file,
			  word->line, word->text);
	for (size_t i = 0; !status && i < matches.gl_pathc; i++) {
		const char *path = vigie_arena_strdup(stream->arena, matches.gl_pathv[i]);

		status = path ? read_file(stream, word, path, tokens) : out_of_memory(stream, word);
	}
	globfree(&matches);
	return status;
}

/* One * and one ? at most, as in CoreDNS: a pattern such as a slash and a star many times over would look
 * through whole file systems. */
static bool is_too_wild(const char *text)
{
	const char *star = strchr(text, '*');
	const char *mark = strchr(text, '?');

	return strchr(text, '[') || (star && strchr(star + 1, '*')) || (mark && strchr(mark + 1, '?'));
}

enum vigie_status vigie_stream_import(struct vigie_stream *stream)
{
	const struct vigie_word *keyword = &vigie_stream_next(stream)->word;
	const struct vigie_stream_frame *frame = &stream->frames[stream->depth - 1];
	const struct vigie_token *token =
		&frame->tokens.token[frame->at]; /* a file's last word may be the keyword */
	const struct vigie_token *end = &frame->tokens.token[frame->tokens.count];
	struct vigie_tokens tokens = {0};
	const struct vigie_snippet *snippet;
	const struct vigie_word *word;
	enum vigie_status status;
	const char *path;
	bool pattern;

	if (token == end || token->first || token->kind != VIGIE_TOKEN_WORD || !token->word.text[0])
		return vigie_word_error(stream->error, keyword,
					"'import' needs a snippet, a file or a pattern");
	word = &vigie_stream_next(stream)->word;
	token++;
	if (token != end && !token->first && token->kind != VIGIE_TOKEN_CLOSE)
		return vigie_word_error(stream->error, &token->word,
					"'%s': 'import' takes one argument, a snippet, a file or a pattern",
					token->word.text);
	snippet = find_snippet(stream, word->text);
	if (snippet)
		return push(stream, snippet->body, word);
	if (is_too_wild(word->text))
		return vigie_word_error(stream->error, word,
					"import '%s': a pattern may hold one '*' and one '?', and no '['",
					word->text);
	pattern = strpbrk(word->text, "*?");
	path = resolve(stream, word, pattern);
	if (!path)
		return out_of_memory(stream, word);
	status = pattern ? read_pattern(stream, word, path, &tokens) : read_file(stream, word, path, &tokens);
	return status ? status : push(stream, tokens, word);
}

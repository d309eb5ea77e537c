#include <stdio.h>
#include <string.h>

#include "directives.h"
#include "vigie/buffer.h"
#include "vigie/http.h"
#include "words.h"

/* CoreDNS' chain order (its plugin.cfg); `workers`, which is vigie's own and not in the chain, stands first.
 */
/* One a line, so that two changes do not meet. */
/* clang-format off */
const struct vigie_directive *const vigie_directives[] = {
	&vigie_directive_workers,
	&vigie_directive_control,
	&vigie_directive_root,
	&vigie_directive_metadata,
	&vigie_directive_cancel,
	&vigie_directive_timeouts,
	&vigie_directive_multisocket,
	&vigie_directive_reload,
	&vigie_directive_nsid,
	&vigie_directive_bufsize,
	&vigie_directive_bind,
	&vigie_directive_debug,
	&vigie_directive_trace,
	&vigie_directive_ready,
	&vigie_directive_health,
	&vigie_directive_pprof,
	&vigie_directive_shed,
	&vigie_directive_prometheus,
	&vigie_directive_errors,
	&vigie_directive_log,
	&vigie_directive_local,
	&vigie_directive_dns64,
	&vigie_directive_any,
	&vigie_directive_chaos,
	&vigie_directive_loadbalance,
	&vigie_directive_rewrite,
	&vigie_directive_autopath,
	&vigie_directive_acl,
	&vigie_directive_cache,
	&vigie_directive_header,
	&vigie_directive_tls,
	&vigie_directive_minimal,
	&vigie_directive_template,
	&vigie_directive_transfer,
	&vigie_directive_hosts,
	&vigie_directive_kubernetes,
	&vigie_directive_file,
	&vigie_directive_auto,
	&vigie_directive_secondary,
	&vigie_directive_loop,
	&vigie_directive_forward,
	&vigie_directive_whoami,
	&vigie_directive_view,
	NULL,
};
/* clang-format on */

const struct vigie_directive *vigie_directive_get(const char *name)
{
	for (size_t i = 0; vigie_directives[i]; i++) {
		if (strcmp(vigie_directives[i]->name, name) == 0)
			return vigie_directives[i];
	}
	return NULL;
}

enum vigie_status vigie_statement_args(const struct vigie_statement *statement, size_t least, size_t most,
				       struct vigie_error *error)
{
	if (statement->arg_count < least)
		return vigie_word_error(error, &statement->name, "'%s' needs %s%zu argument%s, not %zu",
					statement->name.text, least == most ? "" : "at least ", least,
					least == 1 ? "" : "s", statement->arg_count);
	if (statement->arg_count > most)
		return vigie_word_error(error, &statement->args[most],
					"'%s' is one argument too many for '%s'", statement->args[most].text,
					statement->name.text);
	return VIGIE_OK;
}

enum vigie_status vigie_statement_once(const struct vigie_statement *const *statements, size_t count,
				       struct vigie_error *error)
{
	if (count == 1)
		return VIGIE_OK;
	return vigie_word_error(error, &statements[1]->name, "'%s' stands in this block already, at %s:%u",
				statements[1]->name.text, statements[0]->name.file, statements[0]->name.line);
}

enum vigie_status vigie_statement_plain(const struct vigie_statement *statement, struct vigie_error *error)
{
	if (!statement->body)
		return VIGIE_OK;
	return vigie_word_error(error, &statement->name, "'%s' takes no block of options",
				statement->name.text);
}

enum vigie_status vigie_statement_bare(const struct vigie_statement *const *statements, size_t count,
				       struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!status)
		status = vigie_statement_args(statements[0], 0, 0, error);
	return status ? status : vigie_statement_plain(statements[0], error);
}

enum vigie_status vigie_statement_http(const struct vigie_statement *const *statements, size_t count,
				       const char *otherwise, const char **address, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!status)
		status = vigie_statement_args(statement, 0, 1, error);
	*address = statement->arg_count > 0 ? statement->args[0].text : otherwise;
	if (!status && statement->arg_count > 0 && !vigie_http_is_address(*address))
		status = vigie_word_error(error, &statement->args[0], "'%s' is no HOST:PORT", *address);
	return status;
}

enum vigie_status vigie_option_unknown(const struct vigie_statement *directive,
				       const struct vigie_statement *option, struct vigie_error *error)
{
	char buffer[WORDS_HINT_MAX];

	return vigie_word_error(error, &option->name, "unknown option '%s' of '%s'%s", option->name.text,
				directive->name.text,
				words_hint_option(directive->name.text, option->name.text, buffer));
}

enum vigie_status vigie_directive_unknown(const struct vigie_word *word, struct vigie_error *error)
{
	char buffer[WORDS_HINT_MAX];

	return vigie_word_error(error, word, "unknown directive '%s'%s", word->text,
				words_hint_directive(word->text, buffer));
}

const char *vigie_block_path(const struct vigie_block *block, const char *path)
{
	size_t length = block->root ? strlen(block->root) + 1 + strlen(path) + 1 : 0;
	char *joined;

	if (length == 0 || path[0] == '/')
		return path;
	joined = vigie_arena_alloc(block->arena, length);
	if (joined)
		snprintf(joined, length, "%s/%s", block->root, path);
	return joined;
}

size_t vigie_block_place(const struct vigie_block *block, char *text, size_t size)
{
	const struct vigie_place *place = block->places;
	size_t length = 0;

	if (block->place_count > 0)
		length = (size_t)snprintf(text, size, "%s %s %s", place->server->text, place->key->word.text,
					  block->view);
	return length < size ? length : 0;
}

const char *vigie_statement_join(const struct vigie_statement *statement, struct vigie_arena *arena)
{
	size_t length = 1;
	char *text;

	for (size_t i = 0; i < statement->arg_count; i++)
		length += strlen(statement->args[i].text) + 1;
	text = vigie_arena_alloc(arena, length);
	for (size_t i = 0; text && i < statement->arg_count; i++) {
		if (i > 0)
			strcat(text, " ");
		strcat(text, statement->args[i].text);
	}
	return text;
}

static enum vigie_status append_word(struct vigie_buffer *text, char mark, const char *word)
{
	enum vigie_status status = vigie_buffer_append(text, &mark, 1);

	return status ? status : vigie_buffer_append(text, word, strlen(word));
}

enum vigie_status vigie_statement_text(const struct vigie_statement *statement, struct vigie_buffer *text)
{
	enum vigie_status status = append_word(text, '\n', statement->name.text);

	for (size_t i = 0; i < statement->arg_count && !status; i++)
		status = append_word(text, '\t', statement->args[i].text);
	if (!status && statement->body)
		status = append_word(text, '{', "");
	for (size_t i = 0; i < statement->body_count && !status; i++)
		status = vigie_statement_text(&statement->body[i], text);
	return status || !statement->body ? status : append_word(text, '}', "");
}

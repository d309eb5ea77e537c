#include "mistakes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vigie/log.h"
#include "vigie/server.h"

struct search {
	struct vigie_server_block *blocks; /* a copy that shrinks */
	size_t block_count;
	struct vigie_error last; /* its text begins with "FILE:LINE: " */

	/* Later errors that may only come from what was left out: about a directive without some of its
	 * options, and about zones of a block without its `bind`. */
	const struct vigie_word *maimed[MISTAKES_MAX];
	size_t maimed_count;
	bool bind_lost;
};

static void *copy(struct vigie_arena *arena, const void *from, size_t count, size_t size)
{
	void *to = vigie_arena_alloc(arena, count * size + 1); /* an empty block is not NULL, either */

	if (to && count > 0)
		memcpy(to, from, count * size);
	return to;
}

static bool copy_statements(struct vigie_arena *arena, const struct vigie_statement **list, size_t count)
{
	struct vigie_statement *statements = copy(arena, *list, count, sizeof(**list));

	for (size_t i = 0; statements && i < count; i++) {
		if (statements[i].body &&
		    !copy_statements(arena, &statements[i].body, statements[i].body_count))
			return false;
	}
	*list = statements;
	return statements;
}

static bool copy_blocks(struct search *search, struct vigie_arena *arena,
			const struct vigie_corefile *corefile)
{
	search->blocks = copy(arena, corefile->blocks, corefile->block_count, sizeof(*corefile->blocks));
	search->block_count = corefile->block_count;
	for (size_t i = 0; search->blocks && i < search->block_count; i++) {
		struct vigie_server_block *block = &search->blocks[i];

		block->keys = copy(arena, block->keys, block->key_count, sizeof(*block->keys));
		if (!block->keys || !copy_statements(arena, &block->statements, block->statement_count))
			return false;
	}
	return search->blocks;
}

/* Whether the error is about the line on which a word stands. */
static bool is_here(const struct search *search, const struct vigie_word *word)
{
	char place[sizeof(search->last.text)];
	size_t length = (size_t)snprintf(place, sizeof(place), "%s:%u: ", word->file, word->line);

	return length < sizeof(place) && strncmp(search->last.text, place, length) == 0;
}

static bool stands_here(const struct search *search, const struct vigie_statement *statement)
{
	bool here = is_here(search, &statement->name);

	for (size_t i = 0; i < statement->arg_count && !here; i++)
		here = is_here(search, &statement->args[i]); /* a word in quotes before it may span lines */
	return here;
}

/* Takes the innermost statements out that stand on the error's line: several when a snippet with a mistake is
 * used several times. Returns whether there were any. */
static bool cut_statements(struct search *search, const struct vigie_statement *list, size_t *count)
{
	struct vigie_statement *statements = (struct vigie_statement *)list; /* the search's own copy */
	size_t kept = 0;
	bool any = false;

	for (size_t i = 0; i < *count; i++) {
		struct vigie_statement *statement = &statements[i];
		bool within = cut_statements(search, statement->body, &statement->body_count);

		any |= within;
		if (within && search->maimed_count < MISTAKES_MAX)
			search->maimed[search->maimed_count++] = &statement->name;
		if (!within && stands_here(search, statement)) {
			any = true;
			search->bind_lost |= strcmp(statement->name.text, "bind") == 0;
			continue;
		}
		statements[kept++] = *statement;
	}
	*count = kept;
	return any;
}

/* The same for keys, and for blocks that have none left. */
static bool cut_keys(struct search *search)
{
	size_t blocks = 0;
	bool any = false;

	for (size_t b = 0; b < search->block_count; b++) {
		struct vigie_server_block *block = &search->blocks[b];
		struct vigie_key *keys = (struct vigie_key *)block->keys;
		size_t kept = 0;

		for (size_t k = 0; k < block->key_count; k++) {
			if (!is_here(search, &keys[k].word))
				keys[kept++] = keys[k];
		}
		any |= kept < block->key_count;
		block->key_count = kept;
		if (kept > 0)
			search->blocks[blocks++] = *block;
	}
	search->block_count = blocks;
	return any;
}

static bool is_maimed(const struct search *search)
{
	for (size_t i = 0; i < search->maimed_count; i++) {
		if (is_here(search, search->maimed[i]))
			return true;
	}
	return false;
}

/* Takes out what the error is about; false when it is about no line. `consequence` is set when the error may
 * come from what was taken out before. */
static bool cut(struct search *search, bool *consequence)
{
	bool statements = false;

	*consequence = is_maimed(search);
	for (size_t i = 0; i < search->block_count; i++)
		statements |= cut_statements(search, search->blocks[i].statements,
					     &search->blocks[i].statement_count);
	if (statements)
		return true;
	*consequence |= search->bind_lost;
	return cut_keys(search);
}

static bool set_up(struct search *search, uv_loop_t *loop)
{
	struct vigie_corefile corefile = {.blocks = search->blocks, .block_count = search->block_count};
	struct vigie_server *server = vigie_server_new(loop, &corefile, &search->last);

	vigie_server_free(server);
	return server != NULL;
}

bool mistakes_note(void *argument, const char *text)
{
	struct mistakes *mistakes = argument;

	for (size_t i = 0; i < mistakes->count; i++) {
		if (strcmp(mistakes->list[i].text, text) == 0)
			return true; /* in a snippet that is used twice */
	}
	if (mistakes->count < MISTAKES_MAX)
		vigie_error_set(&mistakes->list[mistakes->count++], VIGIE_OK, "%s", text);
	return mistakes->count < MISTAKES_MAX;
}

void mistakes_find(struct mistakes *mistakes, uv_loop_t *loop, struct vigie_arena *arena,
		   const struct vigie_corefile *corefile)
{
	struct search search = {0};
	bool more = true;

	if (!copy_blocks(&search, arena, corefile)) {
		mistakes_note(mistakes, vigie_status_text(VIGIE_ENOMEM));
		return;
	}
	vigie_log_set_level(VIGIE_LOG_FATAL); /* warnings would come once for each attempt */
	while (more && search.block_count > 0 && !set_up(&search, loop)) {
		bool consequence;

		more = cut(&search, &consequence);
		if (!consequence)
			more &= mistakes_note(mistakes, search.last.text);
	}
	vigie_log_set_level(VIGIE_LOG_WARNING);
	if (mistakes->count == 0)
		set_up(&search, loop);
}

/* The number of the line in "FILE:LINE: …", and how long FILE is; 0 when there is none. */
static unsigned long line_of(const char *text, size_t *file)
{
	for (const char *at = strchr(text, ':'); at; at = strchr(at + 1, ':')) {
		char *end;
		unsigned long line = strtoul(at + 1, &end, 10);

		*file = (size_t)(at - text);
		if (end > at + 1 && end[0] == ':' && end[1] == ' ')
			return line;
	}
	*file = 0;
	return 0;
}

static int compare(const void *left, const void *right)
{
	const char *a = ((const struct vigie_error *)left)->text;
	const char *b = ((const struct vigie_error *)right)->text;
	size_t a_file, b_file;
	unsigned long a_line = line_of(a, &a_file);
	unsigned long b_line = line_of(b, &b_file);
	int order = strncmp(a, b, a_file < b_file ? a_file : b_file);

	if (!order)
		order = (a_file > b_file) - (a_file < b_file);
	if (!order)
		order = (a_line > b_line) - (a_line < b_line);
	return order ? order : strcmp(a, b);
}

void mistakes_sort(struct mistakes *mistakes)
{
	qsort(mistakes->list, mistakes->count, sizeof(mistakes->list[0]), compare);
}

/* `vigie check [FLAGS]`: what a Corefile would do, or all that is wrong with it. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "commands.h"
#include "flags.h"
#include "mistakes.h"
#include "vigie/directive.h"

/* Whether the lexer would read the word back only with quotes around it. */
static bool needs_quotes(const char *text)
{
	return !text[0] || strpbrk(text, " \t\n\r\"#") || strcmp(text, "{") == 0 || strcmp(text, "}") == 0;
}

static void print_word(const char *text)
{
	if (!needs_quotes(text)) {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *text; text++) {
		if (*text == '"')
			putchar('\\');
		putchar((unsigned char)*text < ' ' ? ' ' : *text);
	}
	putchar('"');
}

static void print_statement(const struct vigie_statement *statement, int indent)
{
	printf("%*s", indent, "");
	print_word(statement->name.text);
	for (size_t i = 0; i < statement->arg_count; i++) {
		putchar(' ');
		print_word(statement->args[i].text);
	}
	if (statement->body_count == 0) {
		putchar('\n');
		return;
	}
	puts(" {");
	for (size_t i = 0; i < statement->body_count; i++)
		print_statement(&statement->body[i], indent + 4);
	printf("%*s}\n", indent, "");
}

/* As the server works it: keys with the port and networks unfolded, directives in the order of the chain. */
static void print_block(const struct vigie_server_block *block)
{
	for (size_t k = 0; k < block->key_count; k++) {
		const struct vigie_key *key = &block->keys[k];
		char text[VIGIE_NAME_TEXT_MAX];

		printf("%s%s:%u ", key->transport == VIGIE_TRANSPORT_TLS ? "tls://" : "",
		       vigie_name_to_text(key->zone.bytes, text), key->port);
	}
	puts("{");
	for (size_t d = 0; vigie_directives[d]; d++) {
		for (size_t i = 0; i < block->statement_count; i++) {
			if (strcmp(block->statements[i].name.text, vigie_directives[d]->name) == 0)
				print_statement(&block->statements[i], 4);
		}
	}
	puts("}");
}

/* Finds all mistakes; `mistakes` is empty. */
static void find_mistakes(struct mistakes *mistakes, const struct flags *flags, struct vigie_arena *arena,
			  uv_loop_t *loop, struct vigie_corefile *corefile)
{
	struct vigie_error error = {"out of memory"};

	if (vigie_corefile_read_all(corefile, arena, flags_corefile(flags), flags->port, mistakes_note,
				    mistakes, &error)) {
		/* The last one may have been told already, when there were too many. */
		if (mistakes->count < MISTAKES_MAX)
			mistakes_note(mistakes, error.text);
		return;
	}
	mistakes_find(mistakes, loop, arena, corefile);
	mistakes_sort(mistakes);
}

static int check(const struct flags *flags, struct vigie_arena *arena, uv_loop_t *loop)
{
	struct mistakes *mistakes = vigie_arena_alloc(arena, sizeof(*mistakes));
	struct vigie_corefile corefile;

	if (!mistakes)
		return EXIT_FAILURE;
	find_mistakes(mistakes, flags, arena, loop, &corefile);
	for (size_t i = 0; i < mistakes->count; i++)
		fprintf(stderr, "%s\n", mistakes->list[i].text);
	if (mistakes->count > 0) {
		fprintf(stderr, "%zu mistake%s\n", mistakes->count, mistakes->count == 1 ? "" : "s");
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < corefile.block_count; i++)
		print_block(&corefile.blocks[i]);
	return EXIT_SUCCESS;
}

int command_check(int count, char **arguments)
{
	struct vigie_arena *arena = NULL;
	struct vigie_error error;
	struct flags flags;
	uv_loop_t loop;
	int code = EXIT_FAILURE;

	if (flags_parse(&flags, count, arguments, &error)) {
		fprintf(stderr, "vigie check: %s\n%s", error.text, flags_usage);
		return EXIT_USAGE;
	}
	if (flags.help) {
		fputs(flags_usage, stdout);
		return EXIT_SUCCESS;
	}
	if (uv_loop_init(&loop))
		return EXIT_FAILURE;
	arena = vigie_arena_new();
	if (arena)
		code = check(&flags, arena, &loop);
	uv_run(&loop, UV_RUN_DEFAULT); /* what was closed is freed */
	uv_loop_close(&loop);
	vigie_arena_free(arena);
	return code;
}

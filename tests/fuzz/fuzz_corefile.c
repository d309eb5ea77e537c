/* Any bytes as a Corefile, and every word of what it holds as a zone, a duration and a number.
 *
 * Imports find three files in the current folder; a '/' on a line behind `import` becomes '_', so that no
 * input reads the machine's files. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vigie/corefile.h"
#include "vigie/log.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void file_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	require(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	vigie_log_set_level(VIGIE_LOG_FATAL);
	file_write("a.conf", "(s) {\n errors\n}\n");
	file_write("b.conf", "log a b {\n c\n}\n");
	file_write("self", "x\nimport self\n");
	require(clearenv() == 0 && setenv("A", "a.org,b.org", 1) == 0 && setenv("B", "{$B}", 1) == 0);
	return 0;
}

static void check_word(const struct vigie_word *word)
{
	static struct vigie_name zones[VIGIE_ZONES_MAX];
	struct vigie_error error;
	uint64_t number;
	size_t count;

	require(word->text && word->file && word->line > 0);
	if (!vigie_zones_from_word(word, zones, &count, &error))
		require(count >= 1 && count <= VIGIE_ZONES_MAX);
	if (!vigie_duration_from_word(word, &number, &error))
		require(number <= INT64_MAX / 1000000);
	if (!vigie_number_from_word(word, 3, 1000, &number, &error))
		require(number >= 3 && number <= 1000);
}

static void check_statements(const struct vigie_statement *statements, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		check_word(&statements[i].name);
		for (size_t j = 0; j < statements[i].arg_count; j++)
			check_word(&statements[i].args[j]);
		check_statements(statements[i].body, statements[i].body_count);
	}
}

static void check_blocks(const struct vigie_corefile *corefile)
{
	require(corefile->block_count > 0);
	for (size_t i = 0; i < corefile->block_count; i++) {
		const struct vigie_server_block *block = &corefile->blocks[i];

		require(block->key_count > 0);
		for (size_t j = 0; j < block->key_count; j++) {
			const struct vigie_key *key = &block->keys[j];

			require(key->port > 0 && key->zone.length == vigie_name_length(key->zone.bytes));
			check_word(&key->word);
		}
		check_statements(block->statements, block->statement_count);
	}
}

static void hide_paths(char *text, size_t length)
{
	for (size_t i = 0; i + 6 <= length; i++)
		if (memcmp(text + i, "import", 6) == 0)
			for (size_t j = i; j < length && text[j] != '\n'; j++)
				if (text[j] == '/')
					text[j] = '_';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vigie_arena *arena = vigie_arena_new();
	char *text = malloc(size ? size : 1); /* not terminated: ASan sees a read behind it */
	struct vigie_corefile corefile;
	struct vigie_error error = {""};

	require(arena && text);
	memcpy(text, data, size);
	hide_paths(text, size);
	if (vigie_corefile_parse(&corefile, arena, "Corefile", text, size, 53, &error))
		require(strchr(error.text, ':') && !strchr(error.text, '\n'));
	else
		check_blocks(&corefile);
	free(text);
	vigie_arena_free(arena);
	return 0;
}

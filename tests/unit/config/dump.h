/* Parses a Corefile's text and writes what was understood on one line, so that a test is one comparison of
 * strings: "dns://.:53 { health <:8080> { lameduck <5s> } errors } tls://a.org.:853 { }"; or "error: " and
 * the message. */
#ifndef VIGIE_TEST_DUMP_H
#define VIGIE_TEST_DUMP_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "vigie/corefile.h"
#include "vigie/log.h"

static inline void dump_statements(FILE *out, const struct vigie_statement *statements, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fprintf(out, " %s", statements[i].name.text);
		for (size_t j = 0; j < statements[i].arg_count; j++)
			fprintf(out, " <%s>", statements[i].args[j].text);
		if (statements[i].body) {
			fputs(" {", out);
			dump_statements(out, statements[i].body, statements[i].body_count);
			fputs(" }", out);
		}
	}
}

static inline void dump_blocks(FILE *out, const struct vigie_corefile *corefile)
{
	for (size_t i = 0; i < corefile->block_count; i++) {
		const struct vigie_server_block *block = &corefile->blocks[i];

		for (size_t j = 0; j < block->key_count; j++) {
			const struct vigie_key *key = &block->keys[j];
			char text[VIGIE_NAME_TEXT_MAX];

			fprintf(out, "%s%s://%s:%u", i + j ? " " : "",
				key->transport == VIGIE_TRANSPORT_TLS ? "tls" : "dns",
				vigie_name_to_text(key->zone.bytes, text), key->port);
		}
		fputs(" {", out);
		dump_statements(out, block->statements, block->statement_count);
		fputs(" }", out);
	}
}

/* Caller frees the text. */
static inline char *dump_text_at(const char *path, const char *text, size_t length)
{
	struct vigie_arena *arena = vigie_arena_new();
	struct vigie_corefile corefile;
	struct vigie_error error;
	char *result;
	size_t size;
	FILE *out = open_memstream(&result, &size);

	if (vigie_corefile_parse(&corefile, arena, path, text, length, 53, &error))
		fprintf(out, "error: %s", error.text);
	else
		dump_blocks(out, &corefile);
	fclose(out);
	vigie_arena_free(arena);
	return result;
}

static inline void expect_at(const char *path, const char *text, const char *expected)
{
	char *got = dump_text_at(path, text, strlen(text));

	assert_string_equal(got, expected);
	free(got);
}

/* As the file "Corefile" in the current directory. */
static inline void expect(const char *text, const char *expected)
{
	expect_at("Corefile", text, expected);
}

/* A temporary folder that is the current directory while a test runs. */
static char folder[] = "/tmp/vigie-config-XXXXXX";

static inline int folder_enter(void **state)
{
	strcpy(folder, "/tmp/vigie-config-XXXXXX");
	vigie_log_set_level(VIGIE_LOG_ERROR);
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static inline int folder_leave(void **state)
{
	char command[sizeof(folder) + 8];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static inline void file_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

#endif

#include "tls_acme.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme_answers.h"
#include "vigie/buffer.h"
#include "vigie/host_port.h"
#include "vigie/keep.h"

enum { KEY_MAX = 1 << 20 };

/* Kept over reloads, with its own copy of all texts. */
struct tls_acme {
	struct vigie_arena *arena;
	struct vigie_acme_options options;
	struct vigie_acme *acme;
};

struct reader {
	struct vigie_block *block;
	struct tls_acme *into;
	const char **domains;
	struct vigie_error *error;
};

bool tls_acme_is_asked(const struct vigie_statement *statement)
{
	for (size_t i = 0; i < statement->body_count; i++) {
		if (strcmp(statement->body[i].name.text, "acme") == 0)
			return true;
	}
	return false;
}

bool tls_acme_has_option(const char *name)
{
	static const char *const names[] = {"email", "ca", "storage", "ca_root", "resolver"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static char *copy(struct vigie_arena *arena, const char *text)
{
	char *copied = text ? vigie_arena_alloc(arena, strlen(text) + 1) : NULL;

	return copied ? strcpy(copied, text) : NULL;
}

/* A host name, with "*." before it or not: letters, digits and hyphens. */
static bool is_domain(const char *text)
{
	uint8_t address[16];
	struct vigie_name name;

	if (strncmp(text, "*.", 2) == 0)
		text += 2;
	for (const char *at = text; *at; at++) {
		if (!isalnum((unsigned char)*at) && *at != '-' && *at != '.')
			return false;
	}
	return strlen(text) <= VIGIE_NAME_MAX - 2 && vigie_name_from_text(&name, text) == VIGIE_OK &&
	       name.labels > 0 && inet_pton(AF_INET, text, address) != 1;
}

static enum vigie_status read_domains(struct reader *reader, const struct vigie_statement *option)
{
	struct vigie_acme_options *options = &reader->into->options;
	enum vigie_status status = vigie_statement_args(
		option, 1, VIGIE_ACME_DOMAINS_MAX - options->domain_count, reader->error);

	for (size_t i = 0; i < option->arg_count && !status; i++) {
		char *domain = copy(reader->into->arena, option->args[i].text);
		size_t length = domain ? strlen(domain) : 0;
		bool known = false;

		if (!domain)
			return vigie_error_memory(reader->error);
		for (char *at = domain; *at; at++)
			*at = (char)tolower((unsigned char)*at);
		if (length > 0 && domain[length - 1] == '.')
			domain[length - 1] = 0;
		if (!is_domain(domain))
			return vigie_word_error(reader->error, &option->args[i],
						"'acme' takes host names, not '%s'", option->args[i].text);
		for (size_t j = 0; j < options->domain_count && !known; j++)
			known = strcmp(reader->domains[j], domain) == 0;
		if (!known)
			reader->domains[options->domain_count++] = domain;
	}
	return status;
}

static bool is_url(const char *text)
{
	return (strncmp(text, "https://", 8) == 0 && text[8]) ||
	       (strncmp(text, "http://", 7) == 0 && text[7]);
}

static bool is_host_port(const char *text)
{
	char host[VIGIE_NAME_MAX + 1];
	int port;

	return vigie_host_port_split(text, host, sizeof(host), &port) && host[0] && port > 0;
}

static enum vigie_status read_option(struct reader *reader, const struct vigie_statement *statement,
				     const struct vigie_statement *option)
{
	struct vigie_acme_options *options = &reader->into->options;
	const struct {
		const char *name;
		const char **value;
		bool is_path;
	} texts[] = {
		{"email", &options->email, false},       {"ca", &options->ca, false},
		{"storage", &options->storage, true},    {"ca_root", &options->ca_root, true},
		{"resolver", &options->resolver, false},
	};
	enum vigie_status status = vigie_statement_plain(option, reader->error);

	if (status)
		return status;
	if (strcmp(option->name.text, "acme") == 0)
		return read_domains(reader, option);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const char *text;

		if (strcmp(option->name.text, texts[i].name) != 0)
			continue;
		status = vigie_statement_args(option, 1, 1, reader->error);
		if (!status && *texts[i].value)
			status = vigie_word_error(reader->error, &option->name, "'%s' stands here already",
						  texts[i].name);
		if (status)
			return status;
		text = texts[i].is_path ? vigie_block_path(reader->block, option->args[0].text)
					: option->args[0].text;
		*texts[i].value = copy(reader->into->arena, text);
		if (!*texts[i].value)
			return vigie_error_memory(reader->error);
		if (texts[i].value == &options->ca && !is_url(text))
			return vigie_word_error(reader->error, &option->args[0], "'%s' is no URL", text);
		if (texts[i].value == &options->resolver && !is_host_port(text))
			return vigie_word_error(reader->error, &option->args[0], "'%s' is no HOST:PORT",
						text);
		return VIGIE_OK;
	}
	return vigie_option_unknown(statement, option, reader->error);
}

static void release(void *object)
{
	struct tls_acme *tls_acme = object;

	vigie_acme_free(tls_acme->acme);
	vigie_arena_free(tls_acme->arena);
	free(tls_acme);
}

static struct tls_acme *make(struct vigie_block *block, const struct vigie_statement *statement,
			     struct vigie_error *error)
{
	struct tls_acme *made = calloc(1, sizeof(*made));
	struct reader reader = {.block = block, .into = made, .error = error};
	struct vigie_error reason;

	if (!made)
		goto memory;
	made->arena = vigie_arena_new();
	if (made->arena)
		reader.domains =
			vigie_arena_alloc(made->arena, VIGIE_ACME_DOMAINS_MAX * sizeof(*reader.domains));
	if (!reader.domains)
		goto memory;
	for (size_t i = 0; i < statement->body_count; i++) {
		if (read_option(&reader, statement, &statement->body[i]))
			goto fail;
	}
	made->options.domains = reader.domains;
	made->options.present = acme_answers_present;
	made->options.withdraw = acme_answers_withdraw;
	if (!made->options.ca)
		made->options.ca = VIGIE_ACME_CA;
	if (!made->options.storage)
		made->options.storage = copy(made->arena, vigie_block_path(block, ".coredns/acme"));
	if (!made->options.storage)
		goto memory;
	made->acme = vigie_acme_new(&made->options, &reason);
	if (made->acme)
		return made;
	vigie_word_error(error, &statement->name, "'tls': %s", reason.text);
	goto fail;

memory:
	vigie_error_memory(error);
fail:
	if (made)
		release(made);
	return NULL;
}

struct tls_acme *tls_acme_get(struct vigie_block *block, const struct vigie_statement *statement,
			      struct vigie_error *error)
{
	struct vigie_process *process = block->process;
	struct tls_acme *found = NULL;
	struct vigie_buffer key;

	vigie_buffer_init(&key, KEY_MAX);
	if (vigie_statement_text(statement, &key) ||
	    (block->root && vigie_buffer_append(&key, block->root, strlen(block->root))) ||
	    vigie_buffer_append(&key, "", 1)) {
		vigie_error_memory(error);
		goto done;
	}
	process->first = &acme_answers;
	found = vigie_keep_get(process->keep, "acme", (const char *)key.data);
	if (found)
		goto done;
	found = make(block, statement, error);
	if (found && vigie_keep_put(process->keep, "acme", (const char *)key.data, found, release)) {
		release(found);
		found = NULL;
		vigie_error_memory(error);
	}
done:
	vigie_buffer_fini(&key);
	return found;
}

const char *tls_acme_file(const struct tls_acme *tls_acme)
{
	return vigie_acme_file(tls_acme->acme);
}

enum vigie_status tls_acme_start(struct tls_acme *tls_acme, struct vigie_error *error)
{
	return vigie_acme_start(tls_acme->acme, error);
}

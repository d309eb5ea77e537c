/* The part of a `rewrite` rule behind `edns0`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rewrite.h"

enum {
	DATA_MAX = VIGIE_NAME_TEXT_MAX /* bytes of an option's data */
};

struct reader {
	struct vigie_block *block;
	const struct vigie_word *const *words;
	size_t count;
	struct rewrite_option *option;
	struct vigie_error *error;
};

/* Decimal, or hexadecimal with 0x. */
static enum vigie_status read_number(struct vigie_error *error, const struct vigie_word *word,
				     unsigned long most, unsigned long *number)
{
	char *end;

	errno = 0;
	*number = strtoul(word->text, &end, 0);
	if (word->text[0] >= '0' && word->text[0] <= '9' && !*end && !errno && *number <= most)
		return VIGIE_OK;
	return vigie_word_error(error, word, "'%s' is not a number from 0 to %lu", word->text, most);
}

static int digit(char character)
{
	const char *digits = "0123456789abcdef";
	const char *found = character ? strchr(digits, character | 0x20) : NULL;

	return found ? (int)(found - digits) : -1;
}

/* "0x61626364" is four bytes, anything else stands for itself. */
static enum vigie_status read_fixed(struct reader *reader, const struct vigie_word *word)
{
	const char *text = word->text;
	size_t length = strlen(text);
	uint8_t *data;

	if (length > DATA_MAX)
		return vigie_word_error(reader->error, word, "'%.40s…' is longer than %d bytes", text,
					DATA_MAX);
	data = vigie_arena_alloc(reader->block->arena, length + 1);
	if (!data)
		return vigie_error_memory(reader->error);
	reader->option->data = data;
	reader->option->length = length;
	if (strncmp(text, "0x", 2) != 0) {
		memcpy(data, text, length);
		return VIGIE_OK;
	}
	reader->option->length = length / 2 - 1;
	for (size_t i = 0; i < reader->option->length; i++) {
		int high = digit(text[2 + 2 * i]);
		int low = digit(text[3 + 2 * i]);

		if (length % 2 || high < 0 || low < 0)
			return vigie_word_error(reader->error, word,
						"'%s' is not a number of hexadecimal bytes", text);
		data[i] = (uint8_t)(high << 4 | low);
	}
	if (length % 2)
		return vigie_word_error(reader->error, word, "'%s' is not a number of hexadecimal bytes",
					text);
	return VIGIE_OK;
}

/* "{client_ip}" and the like; with a slash the label of metadata. */
static enum vigie_status read_variable(struct reader *reader, const struct vigie_word *word)
{
	static const struct {
		const char *name;
		enum rewrite_data kind;
	} variables[] = {
		{"{qname}", REWRITE_DATA_QNAME},
		{"{qtype}", REWRITE_DATA_QTYPE},
		{"{client_ip}", REWRITE_DATA_CLIENT_IP},
		{"{client_port}", REWRITE_DATA_CLIENT_PORT},
		{"{protocol}", REWRITE_DATA_PROTOCOL},
		{"{server_ip}", REWRITE_DATA_SERVER_IP},
		{"{server_port}", REWRITE_DATA_SERVER_PORT},
	};
	size_t length = strlen(word->text);
	char *label;

	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++) {
		if (strcmp(variables[i].name, word->text) == 0) {
			reader->option->kind = variables[i].kind;
			return VIGIE_OK;
		}
	}
	if (!strchr(word->text, '/'))
		return vigie_word_error(
			reader->error, word,
			"'%s' is none of {qname}, {qtype}, {client_ip}, {client_port}, {protocol}, "
			"{server_ip}, {server_port} and no label of metadata",
			word->text);
	label = vigie_arena_strndup(reader->block->arena, word->text + 1, length - 2);
	if (!label)
		return vigie_error_memory(reader->error);
	reader->option->kind = REWRITE_DATA_METADATA;
	reader->option->label = label;
	return VIGIE_OK;
}

static enum vigie_status read_data(struct reader *reader, const struct vigie_word *word)
{
	size_t length = strlen(word->text);

	if (length >= 2 && word->text[0] == '{' && word->text[length - 1] == '}')
		return read_variable(reader, word);
	return read_fixed(reader, word);
}

static enum vigie_status read_subnet(struct reader *reader)
{
	unsigned long bits[2];

	for (int i = 0; i < 2; i++) {
		enum vigie_status status =
			read_number(reader->error, reader->words[2 + i], i == 0 ? 32 : 128, &bits[i]);

		if (status)
			return status;
	}
	reader->option->kind = REWRITE_DATA_SUBNET;
	reader->option->v4_bits = (uint8_t)bits[0];
	reader->option->v6_bits = (uint8_t)bits[1];
	return VIGIE_OK;
}

/* local ACTION CODE DATA, nsid ACTION, subnet ACTION V4BITS V6BITS; `unset` has no data. */
static const struct kind {
	const char *name;
	size_t words;       /* of the whole, without `revert` */
	size_t unset_words; /* the same for `unset` */
	const char *form;
} kinds[] = {
	{"local", 4, 3, "'local ACTION CODE DATA'"},
	{"nsid", 2, 2, "'nsid ACTION'"},
	{"subnet", 4, 2, "'subnet ACTION V4BITS V6BITS'"},
};

static enum vigie_status read_action(struct reader *reader, const struct vigie_word *word)
{
	static const char *const actions[REWRITE_ACTIONS] = {"replace", "append", "set", "unset"};
	int action = 0;

	while (action < REWRITE_ACTIONS && strcasecmp(actions[action], word->text) != 0)
		action++;
	if (action == REWRITE_ACTIONS)
		return vigie_word_error(reader->error, word,
					"'edns0' can set, append, replace or unset, not '%s'", word->text);
	reader->option->action = (enum rewrite_action)action;
	return VIGIE_OK;
}

enum vigie_status rewrite_read_option(struct vigie_block *block, const struct vigie_statement *statement,
				      const struct vigie_word *const *words, size_t count,
				      struct rewrite_option *option, struct vigie_error *error)
{
	struct reader reader = {
		.block = block, .words = words, .count = count, .option = option, .error = error};
	const struct kind *kind = kinds;
	enum vigie_status status;
	unsigned long code;
	size_t wanted;

	if (count < 2)
		return vigie_word_error(
			error, &statement->name,
			"'edns0' takes local, nsid or subnet, and what is to be done with it");
	while (kind < kinds + 3 && strcasecmp(kind->name, words[0]->text) != 0)
		kind++;
	if (kind == kinds + 3)
		return vigie_word_error(error, words[0], "'edns0' takes local, nsid or subnet, not '%s'",
					words[0]->text);
	status = read_action(&reader, words[1]);
	if (status)
		return status;
	/* An answer never repeats options of a query here: there is nothing to revert. */
	if (option->action != REWRITE_UNSET && strcmp(words[count - 1]->text, "revert") == 0)
		count--;
	wanted = option->action == REWRITE_UNSET ? kind->unset_words : kind->words;
	if (count != wanted)
		return vigie_word_error(error, words[0],
					"'%s': the rule has the form %s, with %zu words for '%s'",
					words[0]->text, kind->form, wanted, words[1]->text);
	option->data = (const uint8_t *)"";
	if (kind == &kinds[1]) {
		option->code = VIGIE_OPTION_NSID;
		return VIGIE_OK;
	}
	if (kind == &kinds[2]) {
		option->code = VIGIE_OPTION_SUBNET;
		return option->action == REWRITE_UNSET ? VIGIE_OK : read_subnet(&reader);
	}
	status = read_number(error, words[2], UINT16_MAX, &code);
	option->code = (uint16_t)code;
	return status || option->action == REWRITE_UNSET ? status : read_data(&reader, words[3]);
}

#include "weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"
#include "vigie/arena.h"

enum {
	LINE_BYTES_MAX = 1100 /* the longest name as text, or an address and a weight */
};

struct weight {
	const uint8_t *name; /* folded wire name */
	uint16_t name_length;
	uint16_t value;
	uint8_t address[16];
};

struct weights {
	struct vigie_arena *arena;
	struct weight *list; /* sorted by compare */
	size_t count;
	size_t capacity;
};

struct reader {
	struct weights *weights;
	const char *path;
	unsigned line;
	const uint8_t *name; /* under which the next addresses stand; NULL before the first */
	uint16_t name_length;
	struct vigie_error *error;
};

static int compare(const void *a, const void *b)
{
	const struct weight *first = a;
	const struct weight *second = b;

	if (first->name_length != second->name_length)
		return first->name_length < second->name_length ? -1 : 1;
	if (memcmp(first->name, second->name, first->name_length) != 0)
		return memcmp(first->name, second->name, first->name_length);
	return memcmp(first->address, second->address, sizeof(first->address));
}

static enum vigie_status no_memory(const struct reader *reader)
{
	return vigie_error_memory(reader->error);
}

static enum vigie_status wrong(const struct reader *reader, const char *word, const char *what)
{
	return vigie_error_set(reader->error, VIGIE_EINVAL, "%s:%u: '%s' %s", reader->path, reader->line,
			       word, what);
}

static enum vigie_status read_name(struct reader *reader, const char *word)
{
	struct network address;
	struct vigie_name name;
	uint8_t *bytes;

	if (network_from_text(&address, word) == VIGIE_OK)
		return wrong(reader, word, "is an address without a weight");
	if (vigie_name_from_text(&name, word))
		return wrong(reader, word, "is no domain name");
	bytes = vigie_arena_alloc(reader->weights->arena, name.length);
	if (!bytes)
		return no_memory(reader);
	memcpy(bytes, name.bytes, name.length);
	reader->name = bytes;
	reader->name_length = name.length;
	return VIGIE_OK;
}

static enum vigie_status read_weight(struct reader *reader, const char *word, const char *number)
{
	struct weights *weights = reader->weights;
	struct network address;
	struct weight *weight;
	unsigned long value;
	char *end;

	if (strchr(word, '/') || network_from_text(&address, word))
		return wrong(reader, word, "is no IP address");
	value = number[0] >= '0' && number[0] <= '9' ? strtoul(number, &end, 10) : 0;
	if (value == 0 || *end || value > WEIGHT_MAX)
		return wrong(reader, number, "is no weight from 1 to 255");
	if (!reader->name)
		return wrong(reader, word, "stands before the first domain name");
	if (weights->count == weights->capacity) {
		size_t capacity = weights->capacity ? weights->capacity * 2 : 16;
		struct weight *list = realloc(weights->list, capacity * sizeof(*list));

		if (!list)
			return no_memory(reader);
		weights->list = list;
		weights->capacity = capacity;
	}
	weight = &weights->list[weights->count++];
	*weight = (struct weight){
		.name = reader->name, .name_length = reader->name_length, .value = (uint16_t)value};
	memcpy(weight->address, address.address, sizeof(weight->address));
	return VIGIE_OK;
}

static enum vigie_status read_line(struct reader *reader, char *line)
{
	char *place;
	char *first = strtok_r(line, " \t\r", &place);
	char *second = first ? strtok_r(NULL, " \t\r", &place) : NULL;

	if (!first || first[0] == '#')
		return VIGIE_OK;
	if (!second)
		return read_name(reader, first);
	if (strtok_r(NULL, " \t\r", &place))
		return wrong(reader, first, "begins a line of more than an address and its weight");
	return read_weight(reader, first, second);
}

struct weights *weights_new(const char *path, const char *text, size_t length, struct vigie_error *error)
{
	struct weights *weights = calloc(1, sizeof(*weights));
	struct reader reader = {.weights = weights, .path = path, .error = error};
	const char *end = text + length;

	if (weights)
		weights->arena = vigie_arena_new();
	if (!weights || !weights->arena) {
		no_memory(&reader);
		goto fail;
	}
	while (text < end) {
		const char *next = memchr(text, '\n', (size_t)(end - text));
		size_t bytes = (size_t)((next ? next : end) - text);
		char line[LINE_BYTES_MAX];

		reader.line++;
		if (bytes >= sizeof(line)) {
			vigie_error_set(error, VIGIE_EINVAL, "%s:%u: the line is too long", path,
					reader.line);
			goto fail;
		}
		memcpy(line, text, bytes);
		line[bytes] = 0;
		if (read_line(&reader, line))
			goto fail;
		text = next ? next + 1 : end;
	}
	if (weights->count > 0)
		qsort(weights->list, weights->count, sizeof(*weights->list), compare);
	return weights;

fail:
	weights_free(weights);
	return NULL;
}

void weights_free(struct weights *weights)
{
	if (!weights)
		return;
	vigie_arena_free(weights->arena);
	free(weights->list);
	free(weights);
}

unsigned weights_get(const struct weights *weights, const struct vigie_name *name, const uint8_t address[16])
{
	struct weight wanted = {.name = name->bytes, .name_length = name->length};
	const struct weight *found = NULL;

	memcpy(wanted.address, address, sizeof(wanted.address));
	if (weights->count > 0)
		found = bsearch(&wanted, weights->list, weights->count, sizeof(wanted), compare);
	return found ? found->value : WEIGHT_DEFAULT;
}

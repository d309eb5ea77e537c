#include "hosts_table.h"

#include <stdlib.h>
#include <string.h>

#include "network.h"

enum {
	WORD_MAX = 1023 /* bytes of a word: the longest name's text form */
};

struct hosts_table *hosts_table_new(void)
{
	struct hosts_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->arena = vigie_arena_new();
	if (!table->arena) {
		free(table);
		return NULL;
	}
	return table;
}

void hosts_table_free(struct hosts_table *table)
{
	if (!table)
		return;
	vigie_arena_free(table->arena);
	free(table->by_name);
	free(table->by_address);
	free(table);
}

static enum vigie_status add_entry(struct hosts_table *table, const struct network *address,
				   const struct vigie_name *name)
{
	struct hosts_entry *entry;
	uint8_t *bytes;

	if (table->name_count == table->capacity) {
		size_t capacity = table->capacity ? 2 * table->capacity : 64;
		struct hosts_entry *grown = reallocarray(table->by_name, capacity, sizeof(*grown));

		if (!grown)
			return VIGIE_ENOMEM;
		table->by_name = grown;
		table->capacity = capacity;
	}
	bytes = vigie_arena_alloc(table->arena, name->length);
	if (!bytes)
		return VIGIE_ENOMEM;
	memcpy(bytes, name->bytes, name->length);
	entry = &table->by_name[table->name_count];
	*entry = (struct hosts_entry){
		.name = bytes,
		.order = (uint32_t)table->name_count,
		.name_length = (uint8_t)name->length,
		.v4 = address->v4,
	};
	memcpy(entry->address, address->address, sizeof(entry->address));
	table->name_count++;
	return VIGIE_OK;
}

/* Copies the next word of a line to `word` (WORD_MAX + 1 bytes); false when there is none. A word that is too
 * long is cut: it is no name then, either. */
static bool next_word(const char **at, const char *end, char *word)
{
	static const char space[] = " \t\r\f\v";
	const char *start;
	size_t length;

	while (*at < end && strchr(space, **at))
		++*at;
	start = *at;
	while (*at < end && !strchr(space, **at))
		++*at;
	length = (size_t)(*at - start);
	if (length > WORD_MAX)
		length = WORD_MAX;
	memcpy(word, start, length);
	word[length] = 0;
	return length > 0;
}

/* `fe80::1%eth0` means that address here: a zone id has no meaning for others. */
static bool read_address(struct network *address, char *word)
{
	word[strcspn(word, "%")] = 0;
	return !strchr(word, '/') && network_from_text(address, word) == VIGIE_OK;
}

static enum vigie_status add_line(struct hosts_table *table, const struct zones *zones, const char *at,
				  const char *end)
{
	const char *comment = memchr(at, '#', (size_t)(end - at));
	char word[WORD_MAX + 1];
	struct network address;
	bool any = false;

	if (comment)
		end = comment;
	if (!next_word(&at, end, word))
		return VIGIE_OK;
	if (!read_address(&address, word)) {
		table->malformed++;
		return VIGIE_OK;
	}
	while (next_word(&at, end, word)) {
		struct vigie_name name;

		if (vigie_name_from_text(&name, word))
			continue;
		any = true;
		if (zones_match(zones, &name) && add_entry(table, &address, &name))
			return VIGIE_ENOMEM;
	}
	table->malformed += !any;
	return VIGIE_OK;
}

enum vigie_status hosts_table_add(struct hosts_table *table, const struct zones *zones, const char *text,
				  size_t length)
{
	const char *end = text + length;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		enum vigie_status status = add_line(table, zones, text, newline ? newline : end);

		if (status)
			return status;
		text = newline ? newline + 1 : end;
	}
	return VIGIE_OK;
}

static int compare_names(const struct hosts_entry *a, const struct hosts_entry *b)
{
	return a->name_length != b->name_length ? a->name_length - b->name_length
						: memcmp(a->name, b->name, a->name_length);
}

static int compare_orders(const struct hosts_entry *a, const struct hosts_entry *b)
{
	return (a->order > b->order) - (a->order < b->order);
}

static int by_name_and_address(const void *left, const void *right)
{
	const struct hosts_entry *a = left;
	const struct hosts_entry *b = right;
	int order = compare_names(a, b);

	if (order == 0)
		order = memcmp(a->address, b->address, sizeof(a->address));
	return order ? order : compare_orders(a, b);
}

static int by_name(const void *left, const void *right)
{
	int order = compare_names(left, right);

	return order ? order : compare_orders(left, right);
}

static int by_address(const void *left, const void *right)
{
	const struct hosts_entry *a = left;
	const struct hosts_entry *b = right;
	int order = memcmp(a->address, b->address, sizeof(a->address));

	return order ? order : compare_orders(a, b);
}

static bool is_wildcard(const uint8_t *name)
{
	return name[0] == 1 && name[1] == '*';
}

enum vigie_status hosts_table_finish(struct hosts_table *table, bool reverse)
{
	size_t kept = 0;

	if (table->name_count == 0)
		return VIGIE_OK;
	/* A record set has no record twice (RFC 2181 section 5). */
	qsort(table->by_name, table->name_count, sizeof(*table->by_name), by_name_and_address);
	for (size_t i = 0; i < table->name_count; i++) {
		const struct hosts_entry *entry = &table->by_name[i];

		if (kept > 0 && compare_names(&table->by_name[kept - 1], entry) == 0 &&
		    memcmp(table->by_name[kept - 1].address, entry->address, 16) == 0)
			continue;
		table->by_name[kept++] = *entry;
	}
	table->name_count = kept;
	qsort(table->by_name, kept, sizeof(*table->by_name), by_name);
	if (!reverse)
		return VIGIE_OK;
	table->by_address = calloc(kept, sizeof(*table->by_address));
	if (!table->by_address)
		return VIGIE_ENOMEM;
	for (size_t i = 0; i < kept; i++) {
		if (!is_wildcard(table->by_name[i].name))
			table->by_address[table->address_count++] = table->by_name[i];
	}
	qsort(table->by_address, table->address_count, sizeof(*table->by_address), by_address);
	return VIGIE_OK;
}

/* The run of entries that are equal to `key`, which `compare` looks at alone. */
static const struct hosts_entry *find_run(const struct hosts_entry *entries, size_t entry_count,
					  const struct hosts_entry *key,
					  int (*compare)(const void *left, const void *right), size_t *count)
{
	size_t low = 0;
	size_t high = entry_count;
	size_t end;

	/* `key` has the order 0 and comes before or is the first of its run. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&entries[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < entry_count; end++) {
		struct hosts_entry same = entries[end];

		same.order = 0;
		if (compare(&same, key) != 0)
			break;
	}
	*count = end - low;
	return entries + low;
}

static const struct hosts_entry *find_name(const struct hosts_table *table, const uint8_t *name,
					   size_t length, size_t *count)
{
	const struct hosts_entry key = {.name = name, .name_length = (uint8_t)length};

	return find_run(table->by_name, table->name_count, &key, by_name, count);
}

const struct hosts_entry *hosts_table_find(const struct hosts_table *table, const struct vigie_name *name,
					   size_t *count)
{
	const struct hosts_entry *found = find_name(table, name->bytes, name->length, count);
	uint8_t wildcard[VIGIE_NAME_MAX + 2];
	size_t rest;

	if (*count > 0 || name->labels == 0)
		return found;
	rest = name->length - (size_t)name->offset[1];
	memcpy(wildcard, "\1*", 2);
	memcpy(wildcard + 2, name->bytes + name->offset[1], rest);
	return find_name(table, wildcard, rest + 2, count);
}

const struct hosts_entry *hosts_table_find_address(const struct hosts_table *table, const uint8_t *address,
						   size_t *count)
{
	struct hosts_entry key = {.order = 0};

	memcpy(key.address, address, sizeof(key.address));
	return find_run(table->by_address, table->address_count, &key, by_address, count);
}

#include "zones.h"

#include <string.h>

enum vigie_status zones_from_words(struct zones *zones, struct vigie_block *block,
				   const struct vigie_word *words, size_t count, struct vigie_error *error)
{
	struct vigie_name *read = vigie_arena_alloc(block->arena, VIGIE_ZONES_MAX * sizeof(*read));

	if (!read)
		return vigie_error_memory(error);
	zones->count = 0;
	for (size_t i = 0; i < count; i++) {
		struct vigie_name *grown;
		size_t got;
		enum vigie_status status = vigie_zones_from_word(&words[i], read, &got, error);

		if (status)
			return status;
		grown = vigie_arena_alloc(block->arena, (zones->count + got) * sizeof(*grown));
		if (!grown)
			return vigie_error_memory(error);
		if (zones->count > 0)
			memcpy(grown, zones->names, zones->count * sizeof(*grown));
		memcpy(grown + zones->count, read, got * sizeof(*grown));
		zones->names = grown;
		zones->count += got;
	}
	if (count > 0)
		return VIGIE_OK;
	vigie_name_from_text(&read[0], ".");
	*zones = (struct zones){.names = read, .count = 1};
	return VIGIE_OK;
}

enum vigie_status zones_from_words_or_keys(struct zones *zones, struct vigie_block *block,
					   const struct vigie_word *words, size_t count,
					   struct vigie_error *error)
{
	const struct vigie_server_block *source = block->source;

	if (count > 0)
		return zones_from_words(zones, block, words, count, error);
	zones->names = vigie_arena_alloc(block->arena, source->key_count * sizeof(*zones->names));
	if (!zones->names)
		return vigie_error_memory(error);
	for (size_t i = 0; i < source->key_count; i++)
		zones->names[i] = source->keys[i].zone;
	zones->count = source->key_count;
	return VIGIE_OK;
}

const struct vigie_name *zones_match(const struct zones *zones, const struct vigie_name *name)
{
	const struct vigie_name *longest = NULL;

	for (size_t i = 0; i < zones->count; i++) {
		if (vigie_name_is_below(name, &zones->names[i]) &&
		    (!longest || zones->names[i].labels > longest->labels))
			longest = &zones->names[i];
	}
	return longest;
}

enum vigie_status fallthrough_read(struct fallthrough *fallthrough, struct vigie_block *block,
				   const struct vigie_statement *option, struct vigie_error *error)
{
	fallthrough->set = true;
	return zones_from_words(&fallthrough->zones, block, option->args, option->arg_count, error);
}

bool fallthrough_holds(const struct fallthrough *fallthrough, const struct vigie_name *name)
{
	return fallthrough->set && zones_match(&fallthrough->zones, name);
}

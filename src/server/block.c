#include "block.h"

#include <stdlib.h>
#include <string.h>

/* The directive of each statement must be known: an unknown word is never ignored. */
static enum vigie_status check_names(const struct vigie_server_block *source, struct vigie_error *error)
{
	for (size_t i = 0; i < source->statement_count; i++) {
		const struct vigie_word *word = &source->statements[i].name;

		if (!vigie_directive_get(word->text))
			return vigie_directive_unknown(word, error);
	}
	return VIGIE_OK;
}

static enum vigie_status set_up(struct block *block, const struct vigie_directive *directive,
				const struct vigie_statement **statements, struct vigie_error *error)
{
	const struct vigie_server_block *source = block->setup.source;
	enum vigie_status status;
	void *instance = NULL;
	struct link *link;
	size_t count = 0;

	for (size_t i = 0; i < source->statement_count; i++) {
		if (strcmp(source->statements[i].name.text, directive->name) == 0)
			statements[count++] = &source->statements[i];
	}
	if (count == 0)
		return VIGIE_OK;
	status = directive->setup(&block->setup, statements, count, &instance, error);
	if (status)
		return status;
	link = &block->links[block->link_count++];
	*link = (struct link){.directive = directive, .instance = instance};
	if (directive->serve || directive->answered)
		block->chain[block->chain_count++] = *link;
	return VIGIE_OK;
}

/* The first link that has the zone. */
static enum vigie_status find_zone(const struct vigie_block *setup, const struct vigie_name *origin,
				   struct vigie_zone **zone)
{
	const struct block *block = (const struct block *)setup; /* its first member */

	for (size_t i = 0; i < block->link_count; i++) {
		const struct link *link = &block->links[i];
		enum vigie_status status = link->directive->zone
						   ? link->directive->zone(link->instance, origin, zone)
						   : VIGIE_ENOENT;

		if (status != VIGIE_ENOENT)
			return status;
	}
	return VIGIE_ENOENT;
}

bool block_is_notifiable(const struct block *block)
{
	for (size_t i = 0; i < block->link_count; i++) {
		if (block->links[i].directive->notify)
			return true;
	}
	return false;
}

bool block_notify(const struct block *block, const struct vigie_name *origin, const struct sockaddr *client)
{
	for (size_t i = 0; i < block->link_count; i++) {
		const struct link *link = &block->links[i];

		if (link->directive->notify && link->directive->notify(link->instance, origin, client))
			return true;
	}
	return false;
}

/* What this server knows itself is asked for before what it holds of others (VIGIE_ROLE_HOLDER): a name of
 * the cluster is never in the cache, so that looking there first would be for nothing. */
static void put_memory_first(struct block *block)
{
	struct link *chain = block->chain;

	for (size_t i = 0; i + 1 < block->chain_count; i++) {
		if (chain[i].directive->role == VIGIE_ROLE_HOLDER &&
		    chain[i + 1].directive->role == VIGIE_ROLE_MEMORY) {
			struct link holder = chain[i];

			chain[i] = chain[i + 1];
			chain[i + 1] = holder;
		}
	}
}

void block_plan(struct block *block)
{
	size_t hook = 0;
	size_t next = block->chain_count;

	put_memory_first(block);
	for (size_t i = 0; i < block->chain_count; i++) {
		block->chain[i].hook = hook;
		if (block->chain[i].directive->answered)
			hook = i + 1;
	}
	block->last = hook;
	for (size_t i = 0; i < block->chain_count && !block->ahead; i++) {
		if (block->chain[i].directive->ahead)
			block->ahead = &block->chain[i];
	}
	for (size_t i = block->chain_count; i-- > 0;) {
		block->chain[i].next = next;
		if (block->chain[i].directive->serve)
			next = i;
	}
	block->first = next;
}

struct block *block_new(const struct vigie_server_block *source, struct vigie_process *process,
			struct vigie_error *error)
{
	struct vigie_arena *arena = vigie_arena_new();
	const struct vigie_statement **statements;
	struct block *block = arena ? vigie_arena_alloc(arena, sizeof(*block)) : NULL;
	size_t directives = 0;

	if (!block) {
		vigie_arena_free(arena);
		vigie_error_memory(error);
		return NULL;
	}
	block->setup = (struct vigie_block){
		.process = process, .source = source, .arena = arena, .zone = find_zone, .view = ""};
	while (vigie_directives[directives])
		directives++;
	block->links = vigie_arena_alloc(arena, directives * sizeof(*block->links));
	block->chain = vigie_arena_alloc(arena, (1 + directives) * sizeof(*block->chain));
	statements = vigie_arena_alloc(arena, (source->statement_count + 1) * sizeof(const void *));
	if (!block->links || !block->chain || !statements) {
		vigie_error_memory(error);
		goto fail;
	}
	if (check_names(source, error))
		goto fail;
	for (size_t i = 0; i < directives; i++) {
		if (set_up(block, vigie_directives[i], statements, error))
			goto fail;
	}
	return block;

fail:
	block_free(block);
	return NULL;
}

enum vigie_status block_finish(struct block *block, struct vigie_error *error)
{
	const struct vigie_directive *first = block->setup.process->first;
	const char **names = vigie_arena_alloc(block->setup.arena, (1 + block->chain_count) * sizeof(*names));

	if (!names)
		return vigie_error_memory(error);
	if (first) {
		memmove(block->chain + 1, block->chain, block->chain_count * sizeof(*block->chain));
		block->chain[0] = (struct link){.directive = first};
		block->chain_count++;
	}
	block_plan(block);
	for (size_t i = 0; i < block->chain_count; i++)
		names[i] = block->chain[i].directive->name;
	block->setup.chain = names;
	block->setup.chain_count = block->chain_count;
	return VIGIE_OK;
}

enum vigie_status block_start(struct block *block, struct vigie_error *error)
{
	while (block->started < block->link_count) {
		struct link *link = &block->links[block->started];

		if (link->directive->start) {
			enum vigie_status status =
				link->directive->start(&block->setup, link->instance, error);

			if (status) {
				block_stop(block);
				return status;
			}
		}
		block->started++;
	}
	return VIGIE_OK;
}

void block_add_metrics(struct block *block, struct vigie_metrics *metrics)
{
	for (size_t i = 0; i < block->link_count; i++) {
		if (block->links[i].directive->metrics)
			block->links[i].directive->metrics(block->links[i].instance, metrics);
	}
}

void block_drain(struct block *block)
{
	for (size_t i = 0; i < block->started; i++) {
		if (block->links[i].directive->drain)
			block->links[i].directive->drain(block->links[i].instance);
	}
}

void block_stop(struct block *block)
{
	while (block->started > 0) {
		struct link *link = &block->links[--block->started];

		if (link->directive->stop)
			link->directive->stop(link->instance);
	}
}

void block_free(struct block *block)
{
	for (size_t i = 0; i < block->link_count; i++) {
		if (block->links[i].directive->free)
			block->links[i].directive->free(block->links[i].instance);
	}
	vigie_arena_free(block->setup.arena);
}

#include "generation.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "vigie/buffer.h"

static void hash_text(crypto_hash_sha512_state *state, const char *text)
{
	crypto_hash_sha512_update(state, (const uint8_t *)text, strlen(text) + 1);
}

/* Marks say where a level begins and ends, so that no two different trees have the same bytes. */
static void hash_statement(crypto_hash_sha512_state *state, const struct vigie_statement *statement)
{
	hash_text(state, statement->name.text);
	for (size_t i = 0; i < statement->arg_count; i++) {
		hash_text(state, "\1");
		hash_text(state, statement->args[i].text);
	}
	hash_text(state, statement->body ? "\2" : "\3");
	for (size_t i = 0; i < statement->body_count; i++)
		hash_statement(state, &statement->body[i]);
	hash_text(state, "\4");
}

void generation_hash(const struct vigie_corefile *corefile, char *text)
{
	uint8_t hash[crypto_hash_sha512_BYTES];
	crypto_hash_sha512_state state;

	crypto_hash_sha512_init(&state);
	for (size_t b = 0; b < corefile->block_count; b++) {
		const struct vigie_server_block *block = &corefile->blocks[b];

		for (size_t k = 0; k < block->key_count; k++)
			hash_text(&state, block->keys[k].word.text);
		hash_text(&state, "\5");
		for (size_t s = 0; s < block->statement_count; s++)
			hash_statement(&state, &block->statements[s]);
	}
	crypto_hash_sha512_final(&state, hash);
	sodium_bin2hex(text, GENERATION_HASH_TEXT, hash, sizeof(hash));
}

struct generation *generation_new(const struct vigie_process *process, const struct vigie_corefile *corefile,
				  struct vigie_arena *arena, struct vigie_error *error)
{
	struct generation *generation = calloc(1, sizeof(*generation));

	if (!generation) {
		vigie_arena_free(arena);
		vigie_error_memory(error);
		return NULL;
	}
	generation->arena = arena;
	generation->process = *process;
	generation_hash(corefile, generation->hash);
	generation->blocks = calloc(corefile->block_count, sizeof(struct block *));
	if (!generation->blocks) {
		vigie_error_memory(error);
		goto fail;
	}
	for (size_t i = 0; i < corefile->block_count; i++) {
		struct block *block = block_new(&corefile->blocks[i], &generation->process, error);

		if (!block)
			goto fail;
		generation->blocks[generation->block_count++] = block;
	}
	for (size_t i = 0; i < generation->block_count; i++) {
		if (block_finish(generation->blocks[i], error) ||
		    listeners_add(&generation->listeners, generation->blocks[i], error))
			goto fail;
	}
	for (size_t i = 0; i < generation->listeners.count; i++)
		generation->listeners.list[i]->generation = generation;
	generation->process.servers = generation->listeners.names;
	generation->process.server_count = generation->listeners.count;
	return generation;

fail:
	generation_free(generation);
	return NULL;
}

void generation_free(struct generation *generation)
{
	if (!generation)
		return;
	for (size_t i = 0; i < generation->block_count; i++)
		block_free(generation->blocks[i]);
	free(generation->blocks);
	listeners_fini(&generation->listeners);
	vigie_arena_free(generation->arena);
	free(generation);
}

enum vigie_status generation_start(struct generation *generation, struct vigie_error *error)
{
	enum vigie_status status = VIGIE_OK;

	for (size_t i = 0; i < generation->block_count && !status; i++)
		status = block_start(generation->blocks[i], error);
	if (status)
		generation_stop(generation);
	return status;
}

void generation_stop(struct generation *generation)
{
	for (size_t i = generation->block_count; i-- > 0;)
		block_stop(generation->blocks[i]);
}

void generation_drain(struct generation *generation)
{
	generation->process.draining = true;
	for (size_t i = 0; i < generation->block_count; i++)
		block_drain(generation->blocks[i]);
}

bool generation_ready(const struct generation *generation, struct vigie_buffer *names)
{
	bool ready = true;

	for (size_t b = 0; b < generation->block_count; b++) {
		const struct block *block = generation->blocks[b];

		for (size_t i = 0; i < block->link_count; i++) {
			const struct vigie_directive *directive = block->links[i].directive;

			if (!directive->ready || directive->ready(block->links[i].instance))
				continue;
			ready = false;
			if (names && names->length > 0)
				vigie_buffer_append(names, ",", 1);
			if (names)
				vigie_buffer_append(names, directive->name, strlen(directive->name));
		}
	}
	return ready;
}

void generation_detail(const struct generation *generation, struct vigie_buffer *text)
{
	for (size_t b = 0; b < generation->block_count; b++) {
		const struct block *block = generation->blocks[b];

		for (size_t i = 0; i < block->link_count; i++) {
			if (block->links[i].directive->detail)
				block->links[i].directive->detail(block->links[i].instance, text);
		}
	}
}

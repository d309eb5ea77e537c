#include "vigie/arena.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK_SIZE = 8192 /* bytes of an ordinary block; a larger piece gets a block of its own */
};

struct block {
	struct block *next;
	size_t size;
	size_t used;
	alignas(max_align_t) uint8_t bytes[];
};

struct vigie_arena {
	struct block *first; /* the one that reset keeps */
	struct block *last;
};

static struct block *block_new(size_t size)
{
	struct block *block;

	if (size > SIZE_MAX - sizeof(*block))
		return NULL;
	block = malloc(sizeof(*block) + size);
	if (block)
		*block = (struct block){.size = size};
	return block;
}

static void blocks_free(struct block *block)
{
	while (block) {
		struct block *next = block->next;

		free(block);
		block = next;
	}
}

struct vigie_arena *vigie_arena_new(void)
{
	struct vigie_arena *arena = malloc(sizeof(*arena));

	if (!arena)
		return NULL;
	arena->first = arena->last = block_new(BLOCK_SIZE);
	if (!arena->first) {
		free(arena);
		return NULL;
	}
	return arena;
}

void vigie_arena_free(struct vigie_arena *arena)
{
	if (!arena)
		return;
	blocks_free(arena->first);
	free(arena);
}

void vigie_arena_reset(struct vigie_arena *arena)
{
	blocks_free(arena->first->next);
	arena->first->next = NULL;
	arena->first->used = 0;
	arena->last = arena->first;
}

void *vigie_arena_alloc(struct vigie_arena *arena, size_t size)
{
	size_t aligned = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	struct block *block = arena->last;
	void *piece;

	if (aligned < size)
		return NULL;
	if (block->size - block->used < aligned) {
		block = block_new(aligned > BLOCK_SIZE ? aligned : BLOCK_SIZE);
		if (!block)
			return NULL;
		arena->last->next = block;
		arena->last = block;
	}
	piece = block->bytes + block->used;
	block->used += aligned;
	return memset(piece, 0, size);
}

char *vigie_arena_strndup(struct vigie_arena *arena, const char *text, size_t length)
{
	char *copy = length < SIZE_MAX ? vigie_arena_alloc(arena, length + 1) : NULL;

	if (copy)
		memcpy(copy, text, length);
	return copy;
}

char *vigie_arena_strdup(struct vigie_arena *arena, const char *text)
{
	return vigie_arena_strndup(arena, text, strlen(text));
}

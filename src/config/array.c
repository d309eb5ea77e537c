#include "token.h"

#include <string.h>

enum {
	FIRST_CAPACITY = 4 /* items; a power of two */
};

void *vigie_array_grow(struct vigie_arena *arena, void *array, size_t *count, size_t size)
{
	bool full = *count == 0 || (*count >= FIRST_CAPACITY && (*count & (*count - 1)) == 0);
	void *larger = array;

	/* The capacity is not kept: it is the power of two at or above the count. */
	if (full)
		larger = vigie_arena_alloc(arena, (*count ? *count * 2 : FIRST_CAPACITY) * size);
	if (!larger)
		return NULL;
	if (full && *count)
		memcpy(larger, array, *count * size);
	(*count)++;
	return larger;
}

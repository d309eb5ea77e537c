/* An arena: many small pieces with one owner, freed at once. A configuration's syntax tree and a decoded API
 * object each live in one. Not thread-safe. */
#ifndef VIGIE_ARENA_H
#define VIGIE_ARENA_H

#include <stddef.h>

struct vigie_arena;

/* NULL when memory is out. */
struct vigie_arena *vigie_arena_new(void);
void vigie_arena_free(struct vigie_arena *arena);

/* Forgets all pieces but keeps the first block for reuse. */
void vigie_arena_reset(struct vigie_arena *arena);

/* Zeroed, aligned for any type; NULL when memory is out. Valid until reset or free. */
void *vigie_arena_alloc(struct vigie_arena *arena, size_t size);

/* Copies, terminated by a zero byte; NULL when memory is out. */
char *vigie_arena_strdup(struct vigie_arena *arena, const char *text);
char *vigie_arena_strndup(struct vigie_arena *arena, const char *text, size_t length);

#endif

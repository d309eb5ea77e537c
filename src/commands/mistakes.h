/* All mistakes of a Corefile at once, where the server stops at the first. */
#ifndef VIGIE_COMMANDS_MISTAKES_H
#define VIGIE_COMMANDS_MISTAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "vigie/arena.h"
#include "vigie/corefile.h"

enum {
	MISTAKES_MAX = 100 /* a file with more of them is not looked at any further */
};

struct mistakes {
	struct vigie_error list[MISTAKES_MAX];
	size_t count;
};

/* Notes one, "FILE:LINE: …". False when no more are wanted. `mistakes` is a struct mistakes. */
bool mistakes_note(void *mistakes, const char *text);

/* Sets the blocks up as the server does, again and again: what stands on the line of a mistake is left out
 * the next time. When there is none the log gets the warnings. Nothing is opened or started. `loop` must be
 * run once more afterwards. */
void mistakes_find(struct mistakes *mistakes, uv_loop_t *loop, struct vigie_arena *arena,
		   const struct vigie_corefile *corefile);

/* In the order of files and lines. */
void mistakes_sort(struct mistakes *mistakes);

#endif

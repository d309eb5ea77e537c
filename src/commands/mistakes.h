/* All mistakes of a Corefile at once, where the server stops at the first. */
#ifndef VIGIE_COMMANDS_MISTAKES_H
#define VIGIE_COMMANDS_MISTAKES_H

#include <stddef.h>
#include <uv.h>

#include "vigie/arena.h"
#include "vigie/corefile.h"

enum {
	MISTAKES_MAX = 100 /* a file with more of them is not looked at any further */
};

/* Sets the blocks up as the server does, again and again: each mistake is told to `report`, and what stands
 * on its line is left out the next time. When there is none the log gets the warnings. Nothing is opened or
 * started. `loop` must be run once more afterwards. Returns how many there are. */
size_t mistakes_find(uv_loop_t *loop, struct vigie_arena *arena, const struct vigie_corefile *corefile,
		     void (*report)(void *argument, const char *text), void *argument);

#endif

/* This host's name, for those who ask which server they talk to. */
#ifndef VIGIE_DIRECTIVES_HOSTNAME_H
#define VIGIE_DIRECTIVES_HOSTNAME_H

#include "vigie/arena.h"

/* In the arena, at most 255 bytes; "localhost" when the system does not say. NULL when memory is out. */
const char *hostname_get(struct vigie_arena *arena);

#endif

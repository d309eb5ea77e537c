#include "hostname.h"

#include <unistd.h>

const char *hostname_get(struct vigie_arena *arena)
{
	char name[256] = "";

	if (gethostname(name, sizeof(name) - 1) || !name[0])
		return vigie_arena_strdup(arena, "localhost");
	return vigie_arena_strdup(arena, name);
}

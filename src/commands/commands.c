#include "commands.h"

#include <stddef.h>
#include <string.h>

static const struct command commands[] = {
	{"check", command_check},
	{"translate", command_translate},
	{"ctl", command_ctl},
};

const struct command *command_get(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

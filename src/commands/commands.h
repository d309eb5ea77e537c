/* The commands of the program beside serving: `vigie NAME ARGUMENTS…`. Each is a file of this folder. */
#ifndef VIGIE_COMMANDS_COMMANDS_H
#define VIGIE_COMMANDS_COMMANDS_H

enum {
	EXIT_USAGE = 2 /* the arguments are wrong */
};

struct command {
	const char *name;

	/* `arguments[0]` is the command's name. The process' random keys and RCU are set up. Returns the exit
	 * status. */
	int (*run)(int count, char **arguments);
};

/* NULL when there is none of that name: the arguments are those of the server. */
const struct command *command_get(const char *name);

int command_check(int count, char **arguments);
int command_translate(int count, char **arguments);
int command_ctl(int count, char **arguments);

#endif

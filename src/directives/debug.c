/* `debug`: debug lines in the log, for the whole process. */
#include "directives.h"

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	block->process->debug = true;
	return vigie_statement_bare(statements, count, error);
}

const struct vigie_directive vigie_directive_debug = {
	.name = "debug",
	.setup = setup,
};

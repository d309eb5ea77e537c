/* `debug`: debug lines in the log, for the whole process. */
#include "directives.h"

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!status)
		status = vigie_statement_plain(statements[0], error);
	if (!status)
		status = vigie_statement_args(statements[0], 0, 0, error);
	block->process->debug = true;
	return status;
}

const struct vigie_directive vigie_directive_debug = {
	.name = "debug",
	.setup = setup,
};

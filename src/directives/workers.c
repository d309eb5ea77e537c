/* `workers N`: vigie's own. */
#include "directives.h"

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	enum vigie_status status = vigie_statement_once(statements, count, error);
	uint64_t workers;

	if (!status)
		status = vigie_statement_plain(statement, error);
	if (!status)
		status = vigie_statement_args(statement, 1, 1, error);
	if (!status)
		status = vigie_number_from_word(&statement->args[0], 1, VIGIE_WORKERS_MAX, &workers, error);
	if (status)
		return status;
	if (block->process->workers && block->process->workers != workers)
		return vigie_word_error(
			error, &statement->args[0],
			"'workers %s': another block sets %u, but the workers serve all blocks",
			statement->args[0].text, block->process->workers);
	block->process->workers = (unsigned)workers;
	return VIGIE_OK;
}

const struct vigie_directive vigie_directive_workers = {
	.name = "workers",
	.setup = setup,
};

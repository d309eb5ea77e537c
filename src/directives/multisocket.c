/* `multisocket [N]`: how many sockets share an address; here each worker has one, so it sets the workers. */
#include "directives.h"
#include "vigie/log.h"

enum {
	SOCKETS_MAX = 1024 /* CoreDNS' limit */
};

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	enum vigie_status status = vigie_statement_once(statements, count, error);
	uint64_t sockets = 0;

	if (!status)
		status = vigie_statement_plain(statement, error);
	if (!status)
		status = vigie_statement_args(statement, 0, 1, error);
	if (!status && statement->arg_count > 0)
		status = vigie_number_from_word(&statement->args[0], 1, SOCKETS_MAX, &sockets, error);
	if (status)
		return status;
	if (sockets > VIGIE_WORKERS_MAX) {
		vigie_log(VIGIE_LOG_WARNING, "multisocket", "%s:%u: '%s': %d workers are the most there are",
			  statement->args[0].file, statement->args[0].line, statement->args[0].text,
			  VIGIE_WORKERS_MAX);
		sockets = VIGIE_WORKERS_MAX;
	}
	if (block->process->sockets < sockets)
		block->process->sockets = (unsigned)sockets;
	return VIGIE_OK;
}

const struct vigie_directive vigie_directive_multisocket = {
	.name = "multisocket",
	.setup = setup,
};

/* `cancel [TIMEOUT]`: a query that is not answered in time gets no answer any more: its client has given up.
 */
#include "directives.h"

enum {
	TIMEOUT_MS = 5001 /* a millisecond more than clients wait by default */
};

struct cancel {
	uint64_t timeout_ms;
};

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	struct cancel *cancel = vigie_arena_alloc(block->arena, sizeof(*cancel));
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!cancel)
		return vigie_error_memory(error);
	cancel->timeout_ms = TIMEOUT_MS;
	if (!status)
		status = vigie_statement_plain(statement, error);
	if (!status)
		status = vigie_statement_args(statement, 0, 1, error);
	if (!status && statement->arg_count > 0)
		status = vigie_duration_from_word(&statement->args[0], &cancel->timeout_ms, error);
	if (!status && cancel->timeout_ms == 0)
		status = vigie_word_error(error, &statement->args[0], "'%s': 'cancel' needs a time above 0",
					  statement->args[0].text);
	*instance = cancel;
	return status;
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct cancel *cancel = instance;

	request->deadline_us = request->began_us + cancel->timeout_ms * 1000;
	return VIGIE_NEXT;
}

const struct vigie_directive vigie_directive_cancel = {
	.name = "cancel",
	.setup = setup,
	.serve = serve,
};

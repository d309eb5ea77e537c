/* `pprof [ADDRESS] { block [RATE] }`: the Go runtime's profiler. Accepted, so that a Corefile that has it
 * loads; there is no Go runtime here. */
#include <string.h>

#include "directives.h"
#include "vigie/log.h"

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	enum vigie_status status = vigie_statement_once(statements, count, error);
	uint64_t rate;

	if (!status)
		status = vigie_statement_args(statement, 0, 1, error);
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		if (strcmp(option->name.text, "block") != 0)
			return vigie_option_unknown(statement, option, error);
		status = vigie_statement_args(option, 0, 1, error);
		if (!status && option->arg_count > 0)
			status = vigie_number_from_word(&option->args[0], 1, INT32_MAX, &rate, error);
	}
	if (!status)
		vigie_log(VIGIE_LOG_WARNING, "pprof",
			  "%s:%u: 'pprof' has no effect: profile vigie with perf(1)", statement->name.file,
			  statement->name.line);
	return status;
}

const struct vigie_directive vigie_directive_pprof = {
	.name = "pprof",
	.setup = setup,
};

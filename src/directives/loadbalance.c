/* `loadbalance [round_robin]`: each answer begins its sets of addresses elsewhere. */
#include <string.h>

#include "directives.h"

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!status && statement->arg_count > 0 && strcmp(statement->args[0].text, "weighted") == 0)
		return vigie_word_error(error, &statement->args[0],
					"policy 'weighted' of 'loadbalance' is not supported yet");
	if (!status && statement->arg_count > 0 && strcmp(statement->args[0].text, "round_robin") != 0)
		return vigie_word_error(error, &statement->args[0], "unknown policy '%s' of 'loadbalance'",
					statement->args[0].text);
	if (!status)
		status = vigie_statement_args(statement, 0, 1, error);
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		if (strcmp(option->name.text, "prefer") != 0)
			return vigie_option_unknown(statement, option, error);
		return vigie_word_error(error, &option->name,
					"option 'prefer' of 'loadbalance' is not supported yet");
	}
	return status;
}

/* The golden ratio's multiples in 32 bits: successive requests get starts that are far apart. Never 0. */
static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	request->rotation = (++request->worker->rotation * 2654435769U) | 1;
	return VIGIE_NEXT;
}

static void answered(void *instance, struct vigie_request *request)
{
	if (!request->answer->rotated)
		vigie_answer_rotate(request->answer, request->rotation >> 1);
}

const struct vigie_directive vigie_directive_loadbalance = {
	.name = "loadbalance",
	.setup = setup,
	.serve = serve,
	.answered = answered,
};

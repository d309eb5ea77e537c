/* `errors`: why an answer is an error, in the log, in CoreDNS' words. */
#include <string.h>

#include "directives.h"
#include "vigie/log.h"
#include "vigie/text.h"

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!status)
		status = vigie_statement_args(statement, 0, 1, error);
	if (!status && statement->arg_count == 1 && strcmp(statement->args[0].text, "stdout") != 0)
		return vigie_word_error(error, &statement->args[0], "'errors' writes to stdout, not to '%s'",
					statement->args[0].text);
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		if (strcmp(option->name.text, "consolidate") == 0)
			return vigie_word_error(error, &option->name,
						"option 'consolidate' of 'errors' is not supported yet");
		if (strcmp(option->name.text, "stacktrace") != 0)
			return vigie_option_unknown(statement, option, error);
		vigie_log(VIGIE_LOG_WARNING, "errors", "%s:%u: 'stacktrace' has no effect here",
			  option->name.file, option->name.line);
	}
	return status;
}

static void answered(void *instance, struct vigie_request *request)
{
	char name[VIGIE_NAME_TEXT_MAX];
	char type[VIGIE_TEXT_MAX];

	if (!request->trouble || request->silent)
		return;
	vigie_log(VIGIE_LOG_ERROR, "errors", "%u %s %s: %s", request->answer->rcode,
		  vigie_name_to_text(request->query->name.bytes, name),
		  vigie_type_text(request->query->type, type), request->trouble);
}

const struct vigie_directive vigie_directive_errors = {
	.name = "errors",
	.setup = setup,
	.answered = answered,
};

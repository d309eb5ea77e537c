/* `errors`: why an answer is an error, in the log, in CoreDNS' words. */
#include <stdio.h>
#include <string.h>

#include "directives.h"
#include "vigie/log.h"

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

/* The types that people ask for by name; others are TYPE and a number (RFC 3597 section 5). */
static const char *type_text(uint16_t type, char *text, size_t size)
{
	switch (type) {
	case VIGIE_TYPE_A:
		return "A";
	case VIGIE_TYPE_NS:
		return "NS";
	case VIGIE_TYPE_CNAME:
		return "CNAME";
	case VIGIE_TYPE_SOA:
		return "SOA";
	case VIGIE_TYPE_PTR:
		return "PTR";
	case VIGIE_TYPE_MX:
		return "MX";
	case VIGIE_TYPE_TXT:
		return "TXT";
	case VIGIE_TYPE_AAAA:
		return "AAAA";
	case VIGIE_TYPE_SRV:
		return "SRV";
	case VIGIE_TYPE_SVCB:
		return "SVCB";
	case VIGIE_TYPE_HTTPS:
		return "HTTPS";
	case VIGIE_TYPE_ANY:
		return "ANY";
	default:
		snprintf(text, size, "TYPE%u", type);
		return text;
	}
}

static void answered(void *instance, struct vigie_request *request)
{
	char name[VIGIE_NAME_TEXT_MAX];
	char type[16];

	if (!request->trouble || request->silent)
		return;
	vigie_log(VIGIE_LOG_ERROR, "errors", "%u %s %s: %s", request->answer->rcode,
		  vigie_name_to_text(request->query->name.bytes, name),
		  type_text(request->query->type, type, sizeof(type)), request->trouble);
}

const struct vigie_directive vigie_directive_errors = {
	.name = "errors",
	.setup = setup,
	.answered = answered,
};

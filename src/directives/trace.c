/* `trace [ENDPOINT-TYPE] [ENDPOINT] { … }`: OpenTracing. Accepted, so that a Corefile that has it loads; no
 * spans are sent. */
#include <string.h>

#include "directives.h"
#include "vigie/log.h"

static enum vigie_status read_option(const struct vigie_statement *statement,
				     const struct vigie_statement *option, struct vigie_error *error)
{
	static const struct {
		const char *name;
		size_t args;
	} options[] = {
		{"every", 1},
		{"service", 1},
		{"client_server", 0},
		{"datadog_analytics_rate", 1},
		{"zipkin_max_backlog_size", 1},
		{"zipkin_max_batch_size", 1},
		{"zipkin_max_batch_interval", 1},
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		if (strcmp(option->name.text, options[i].name) == 0)
			return vigie_statement_args(option, options[i].args, options[i].args, error);
	}
	return vigie_option_unknown(statement, option, error);
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!status)
		status = vigie_statement_args(statement, 0, 2, error);
	if (!status && statement->arg_count == 2 && strcmp(statement->args[0].text, "zipkin") != 0 &&
	    strcmp(statement->args[0].text, "datadog") != 0)
		status = vigie_word_error(error, &statement->args[0], "'%s' is neither zipkin nor datadog",
					  statement->args[0].text);
	for (size_t i = 0; i < statement->body_count && !status; i++)
		status = read_option(statement, &statement->body[i], error);
	if (!status)
		vigie_log(VIGIE_LOG_WARNING, "trace", "%s:%u: 'trace' has no effect: no spans are sent",
			  statement->name.file, statement->name.line);
	return status;
}

const struct vigie_directive vigie_directive_trace = {
	.name = "trace",
	.setup = setup,
};

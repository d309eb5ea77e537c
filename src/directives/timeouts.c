/* `timeouts { read DURATION; write DURATION; idle DURATION; maxtcpqueries N }`: of TCP and TLS connections.
 */
#include <string.h>

#include "directives.h"

enum {
	LEAST_MS = 1000,              /* CoreDNS' limits */
	MOST_MS = 24 * 60 * 60 * 1000 /* a day */
};

static enum vigie_status read_duration(const struct vigie_statement *option, uint64_t *milliseconds,
				       struct vigie_error *error)
{
	const struct vigie_word *word = &option->args[0];
	enum vigie_status status = vigie_duration_from_word(word, milliseconds, error);

	if (!status && (*milliseconds < LEAST_MS || *milliseconds > MOST_MS))
		status = vigie_word_error(error, word, "'%s' is not between 1s and 24h", word->text);
	return status;
}

static enum vigie_status read_option(struct vigie_timeouts *timeouts, const struct vigie_statement *statement,
				     const struct vigie_statement *option, struct vigie_error *error)
{
	const char *name = option->name.text;
	enum vigie_status status = vigie_statement_plain(option, error);
	uint64_t number;

	if (!status)
		status = vigie_statement_args(option, 1, 1, error);
	if (status)
		return status;
	if (strcmp(name, "read") == 0)
		return read_duration(option, &timeouts->read_ms, error);
	if (strcmp(name, "write") == 0)
		return read_duration(option, &timeouts->write_ms, error);
	if (strcmp(name, "idle") == 0)
		return read_duration(option, &timeouts->idle_ms, error);
	if (strcmp(name, "maxtcpqueries") != 0)
		return vigie_option_unknown(statement, option, error);
	timeouts->queries_max = 0;
	if (strcmp(option->args[0].text, "-1") == 0)
		return VIGIE_OK;
	status = vigie_number_from_word(&option->args[0], 1, INT32_MAX, &number, error);
	if (!status)
		timeouts->queries_max = (unsigned)number;
	return status;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!status)
		status = vigie_statement_args(statement, 0, 0, error);
	if (!status && statement->body_count == 0)
		status =
			vigie_word_error(error, &statement->name,
					 "'timeouts' needs at least one of read, write, idle, maxtcpqueries");
	for (size_t i = 0; i < statement->body_count && !status; i++)
		status = read_option(&block->timeouts, statement, &statement->body[i], error);
	return status;
}

const struct vigie_directive vigie_directive_timeouts = {
	.name = "timeouts",
	.setup = setup,
};

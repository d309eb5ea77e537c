/* `health [ADDRESS] { lameduck DURATION }`: 200 for as long as the process lives. */
#include <string.h>

#include "directives.h"
#include "vigie/http.h"

struct health {
	const struct vigie_statement *statement;
	struct vigie_http *http;
	const char *address;
};

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	struct health *health = vigie_arena_alloc(block->arena, sizeof(*health));
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!health)
		return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
	if (!status)
		status = vigie_statement_args(statement, 0, 1, error);
	if (!status && statement->arg_count > 0 && !vigie_http_is_address(statement->args[0].text))
		return vigie_word_error(error, &statement->args[0], "'%s' is no HOST:PORT",
					statement->args[0].text);
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];
		uint64_t lameduck;

		if (strcmp(option->name.text, "lameduck") != 0)
			return vigie_option_unknown(statement, option, error);
		status = vigie_statement_args(option, 1, 1, error);
		if (!status)
			status = vigie_duration_from_word(&option->args[0], &lameduck, error);
		if (!status && lameduck > block->process->lameduck_ms)
			block->process->lameduck_ms = lameduck;
	}
	health->statement = statement;
	health->http = block->process->http;
	health->address = statement->arg_count > 0 ? statement->args[0].text : ":8080";
	*instance = health;
	return status;
}

static unsigned respond(void *argument, struct vigie_http_response *response)
{
	vigie_buffer_append(&response->body, "OK", 2);
	return 200;
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct health *health = instance;
	struct vigie_error reason;

	if (vigie_http_serve(health->http, health->address, "/health", respond, health, &reason) == VIGIE_OK)
		return VIGIE_OK;
	return vigie_word_error(error, &health->statement->name, "'health': %s", reason.text);
}

static void stop(void *instance)
{
	struct health *health = instance;

	vigie_http_stop(health->http, health->address, "/health", health);
}

const struct vigie_directive vigie_directive_health = {
	.name = "health",
	.setup = setup,
	.start = start,
	.stop = stop,
};

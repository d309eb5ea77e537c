/* `ready [ADDRESS] { monitor until-ready|continuously }`: 200 once every directive has been ready; refused
 * from SIGTERM on. /ready/detail says more, to people. */
#include <string.h>

#include "directives.h"
#include "vigie/buffer.h"
#include "vigie/http.h"
#include "vigie/log.h"

struct ready {
	const struct vigie_statement *statement;
	struct vigie_process *process;
	const char *address;
	bool serves; /* this block's instance holds the address; others may share it */
	bool was_ready;
};

static enum vigie_status read_monitor(const struct vigie_statement *option, struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, error);

	/* Nothing that was ready here ceases to be: both modes come to the same. */
	if (status || strcmp(option->args[0].text, "until-ready") == 0 ||
	    strcmp(option->args[0].text, "continuously") == 0)
		return status;
	return vigie_word_error(error, &option->args[0],
				"'monitor' takes until-ready or continuously, not '%s'",
				option->args[0].text);
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	struct ready *ready = vigie_arena_alloc(block->arena, sizeof(*ready));
	enum vigie_status status;

	if (!ready)
		return vigie_error_memory(error);
	status = vigie_statement_http(statements, count, ":8181", &ready->address, error);
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		status = strcmp(option->name.text, "monitor") == 0
				 ? read_monitor(option, error)
				 : vigie_option_unknown(statement, option, error);
	}
	ready->statement = statement;
	ready->process = block->process;
	*instance = ready;
	return status;
}

static unsigned respond(void *argument, struct vigie_http_response *response)
{
	struct ready *ready = argument;

	if (!ready->was_ready)
		ready->was_ready = ready->process->ready(ready->process->server, &response->body);
	if (!ready->was_ready) {
		vigie_log(VIGIE_LOG_INFO, "ready", "Plugins not ready: \"%.*s\"", (int)response->body.length,
			  (const char *)response->body.data);
		return 503;
	}
	vigie_buffer_append(&response->body, "OK", 2);
	return 200;
}

static unsigned respond_detail(void *argument, struct vigie_http_response *response)
{
	struct ready *ready = argument;

	ready->process->detail(ready->process->server, &response->body);
	return ready->process->ready(ready->process->server, NULL) ? 200 : 503;
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct ready *ready = instance;
	struct vigie_error reason;
	enum vigie_status status =
		vigie_http_serve(ready->process->http, ready->address, "/ready", respond, ready, &reason);

	ready->serves = status == VIGIE_OK;
	if (status == VIGIE_OK)
		status = vigie_http_serve(ready->process->http, ready->address, "/ready/detail",
					  respond_detail, ready, &reason);
	if (status == VIGIE_OK || status == VIGIE_EEXIST)
		return VIGIE_OK; /* several blocks may have one: it speaks for all */
	return vigie_word_error(error, &ready->statement->name, "'ready': %s", reason.text);
}

static void stop(void *instance)
{
	struct ready *ready = instance;

	if (ready->serves) {
		vigie_http_stop(ready->process->http, ready->address, "/ready", ready);
		vigie_http_stop(ready->process->http, ready->address, "/ready/detail", ready);
	}
	ready->serves = false;
}

const struct vigie_directive vigie_directive_ready = {
	.name = "ready",
	.setup = setup,
	.start = start,
	.drain = stop,
	.stop = stop,
};

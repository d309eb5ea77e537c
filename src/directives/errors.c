/* `errors`: why an answer is an error, in the log, in CoreDNS' words. */
#include <stdlib.h>
#include <string.h>

#include "directives.h"
#include "vigie/log.h"
#include "vigie/text.h"

enum {
	LINES_PER_SECOND = 100 /* of one worker and block; what is more is counted and told once a second */
};

/* Of one worker. */
struct rate {
	uint64_t second; /* the one that `lines` and `more` belong to */
	unsigned lines;
	unsigned more;
};

struct errors {
	struct rate *rates; /* from start to stop */
};

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	struct errors *errors = vigie_arena_alloc(block->arena, sizeof(*errors));
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!errors)
		return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
	*instance = errors;
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

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct errors *errors = instance;

	errors->rates = calloc(block->process->workers, sizeof(*errors->rates));
	if (!errors->rates)
		return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
	return VIGIE_OK;
}

static void stop(void *instance)
{
	struct errors *errors = instance;

	free(errors->rates);
	errors->rates = NULL;
}

/* Whether there is room for one more line in this second. */
static bool admit(struct rate *rate, uint64_t second)
{
	if (rate->second != second) {
		if (rate->more > 0)
			vigie_log(VIGIE_LOG_ERROR, "errors", "%u more errors in one second were not written",
				  rate->more);
		*rate = (struct rate){.second = second};
	}
	if (rate->lines == LINES_PER_SECOND) {
		rate->more++;
		return false;
	}
	rate->lines++;
	return true;
}

static void answered(void *instance, struct vigie_request *request)
{
	struct errors *errors = instance;
	char name[VIGIE_NAME_TEXT_MAX];
	char type[VIGIE_TEXT_MAX];

	if (!request->trouble || request->silent)
		return;
	if (!admit(&errors->rates[request->worker->index], request->worker->now_ms / 1000))
		return;
	vigie_log(VIGIE_LOG_ERROR, "errors", "%u %s %s: %s", request->answer->rcode,
		  vigie_name_to_text(request->query->name.bytes, name),
		  vigie_type_text(request->query->type, type), request->trouble);
}

const struct vigie_directive vigie_directive_errors = {
	.name = "errors",
	.setup = setup,
	.start = start,
	.stop = stop,
	.answered = answered,
};

/* `reload [INTERVAL [JITTER]]`: looks every now and then whether the Corefile has changed. */
#include "directives.h"
#include "repeat.h"
#include "vigie/random.h"

enum {
	INTERVAL_MS = 30000, /* CoreDNS' defaults and bounds */
	JITTER_MS = 15000,
	INTERVAL_LEAST_MS = 2000,
	JITTER_LEAST_MS = 1000
};

struct reload {
	const struct vigie_process *process;
	uint64_t interval_ms;
	uint64_t jitter_ms;
	uv_timer_t *timer;
};

static enum vigie_status read_duration(const struct vigie_word *word, uint64_t least, uint64_t *ms,
				       struct vigie_error *error)
{
	enum vigie_status status = vigie_duration_from_word(word, ms, error);

	if (!status && *ms < least && (*ms > 0 || least == INTERVAL_LEAST_MS))
		return vigie_word_error(error, word, "'%s' is less than %us, which is the least here",
					word->text, (unsigned)(least / 1000));
	return status;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	struct reload *reload = vigie_arena_alloc(block->arena, sizeof(*reload));
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!reload)
		return vigie_error_memory(error);
	*reload = (struct reload){
		.process = block->process, .interval_ms = INTERVAL_MS, .jitter_ms = JITTER_MS};
	if (!status)
		status = vigie_statement_args(statement, 0, 2, error);
	if (!status)
		status = vigie_statement_plain(statement, error);
	if (!status && statement->arg_count > 0)
		status = read_duration(&statement->args[0], INTERVAL_LEAST_MS, &reload->interval_ms, error);
	if (!status && statement->arg_count > 1)
		status = read_duration(&statement->args[1], JITTER_LEAST_MS, &reload->jitter_ms, error);
	if (reload->jitter_ms > reload->interval_ms / 2)
		reload->jitter_ms = reload->interval_ms / 2;
	*instance = reload;
	return status;
}

static void on_timer(uv_timer_t *timer)
{
	const struct reload *reload = timer->data;

	reload->process->reload(reload->process->server);
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct reload *reload = instance;
	/* Replicas that started together look at different times. */
	uint64_t every = reload->interval_ms - reload->jitter_ms / 2 +
			 vigie_random_below((uint32_t)reload->jitter_ms + 1);

	reload->timer = repeat_start(block->process->loop, every, on_timer, reload);
	return reload->timer ? VIGIE_OK : vigie_error_memory(error);
}

static void stop(void *instance)
{
	struct reload *reload = instance;

	repeat_stop(&reload->timer);
}

const struct vigie_directive vigie_directive_reload = {
	.name = "reload",
	.setup = setup,
	.start = start,
	.stop = stop,
};

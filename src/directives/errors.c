/* `errors`: why an answer is an error, in the log, in CoreDNS' words. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "directives.h"
#include "regex.h"
#include "repeat.h"
#include "vigie/clock.h"
#include "vigie/log.h"
#include "vigie/text.h"

enum {
	LINES_PER_SECOND = 100, /* of one worker and block; what is more is counted and told once a second */
	CONSOLIDATE_TICK_MS = 100 /* how often it is looked at which periods are over */
};

/* Of one worker. */
struct rate {
	uint64_t second; /* the one that `lines` and `more` belong to */
	unsigned lines;
	unsigned more;
};

/* `consolidate`: errors whose reason matches are counted, and told of once in a while. */
struct pattern {
	const struct regex *regex;
	const char *text;
	const char *duration; /* as it was written */
	uint64_t period_ms;
	enum vigie_log_level level;
	bool show_first;
	atomic_uint_fast64_t *counts; /* of each worker; from start to stop */
	atomic_bool open;             /* a period has begun: the first was shown, if it is to be */
	uint64_t due_ms;              /* when it ends; 0: none has begun */
	uint64_t sum;                 /* of this period so far */
};

struct errors {
	struct pattern *patterns;
	size_t count;
	unsigned workers;
	struct rate *rates; /* from start to stop */
	uv_timer_t *timer;  /* the same */
};

static enum vigie_status read_level(const struct vigie_word *word, struct pattern *pattern,
				    struct vigie_error *error)
{
	static const struct {
		const char *text;
		enum vigie_log_level level;
	} levels[] = {{"warning", VIGIE_LOG_WARNING},
		      {"error", VIGIE_LOG_ERROR},
		      {"info", VIGIE_LOG_INFO},
		      {"debug", VIGIE_LOG_DEBUG}};

	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		if (strcmp(levels[i].text, word->text) == 0) {
			pattern->level = levels[i].level;
			return VIGIE_OK;
		}
	}
	return vigie_word_error(error, word, "a level is warning, error, info or debug, not '%s'",
				word->text);
}

/* consolidate DURATION REGEXP [LEVEL] [show_first] */
static enum vigie_status read_pattern(struct vigie_block *block, const struct vigie_statement *option,
				      struct pattern *pattern, struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_args(option, 2, 4, error);
	size_t at = 2;

	if (!status)
		status = vigie_duration_from_word(&option->args[0], &pattern->period_ms, error);
	if (status)
		return status;
	pattern->level = VIGIE_LOG_ERROR;
	pattern->duration = option->args[0].text;
	pattern->text = option->args[1].text;
	pattern->regex = regex_new(block->arena, &option->args[1], error);
	if (!pattern->regex)
		return VIGIE_EINVAL;
	if (at < option->arg_count && strcmp(option->args[at].text, "show_first") != 0)
		status = read_level(&option->args[at++], pattern, error);
	if (!status && at < option->arg_count) {
		if (strcmp(option->args[at].text, "show_first") != 0)
			return vigie_word_error(error, &option->args[at],
						"show_first may stand here, not '%s'", option->args[at].text);
		pattern->show_first = true;
		at++;
	}
	if (!status && at < option->arg_count)
		return vigie_word_error(error, &option->args[at],
					"'%s' is one argument too many for 'consolidate'",
					option->args[at].text);
	return status;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	struct errors *errors = vigie_arena_alloc(block->arena, sizeof(*errors));
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!errors)
		return vigie_error_memory(error);
	errors->patterns =
		vigie_arena_alloc(block->arena, (statement->body_count + 1) * sizeof(*errors->patterns));
	if (!errors->patterns)
		return vigie_error_memory(error);
	*instance = errors;
	if (!status)
		status = vigie_statement_args(statement, 0, 1, error);
	if (!status && statement->arg_count == 1 && strcmp(statement->args[0].text, "stdout") != 0)
		return vigie_word_error(error, &statement->args[0], "'errors' writes to stdout, not to '%s'",
					statement->args[0].text);
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		if (strcmp(option->name.text, "consolidate") == 0) {
			status = read_pattern(block, option, &errors->patterns[errors->count++], error);
			continue;
		}
		if (strcmp(option->name.text, "stacktrace") != 0)
			return vigie_option_unknown(statement, option, error);
		vigie_log(VIGIE_LOG_WARNING, "errors", "%s:%u: 'stacktrace' has no effect here",
			  option->name.file, option->name.line);
	}
	return status;
}

/* Ends the periods that are over, or all. In the main thread. */
static void tell(struct errors *errors, uint64_t now_ms, bool all)
{
	for (size_t i = 0; i < errors->count; i++) {
		struct pattern *pattern = &errors->patterns[i];

		for (unsigned w = 0; w < errors->workers; w++)
			pattern->sum += atomic_exchange(&pattern->counts[w], 0);
		if (pattern->sum > 0 && pattern->due_ms == 0)
			pattern->due_ms = now_ms + pattern->period_ms;
		if (pattern->due_ms == 0 || (!all && now_ms < pattern->due_ms))
			continue;
		if (pattern->sum > 1 || !pattern->show_first)
			vigie_log(pattern->level, "errors",
				  "%" PRIu64 " errors like '%s' occurred in last %s", pattern->sum,
				  pattern->text, pattern->duration);
		pattern->sum = 0;
		pattern->due_ms = 0;
		atomic_store(&pattern->open, false);
	}
}

static void on_timer(uv_timer_t *timer)
{
	tell(timer->data, vigie_clock_ms(), false);
}

static void stop(void *instance)
{
	struct errors *errors = instance;

	if (errors->timer)
		tell(errors, vigie_clock_ms(), true);
	repeat_stop(&errors->timer);
	for (size_t i = 0; i < errors->count; i++) {
		free(errors->patterns[i].counts);
		errors->patterns[i].counts = NULL;
	}
	free(errors->rates);
	errors->rates = NULL;
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct errors *errors = instance;
	bool complete;

	errors->workers = block->process->workers;
	errors->rates = calloc(errors->workers, sizeof(*errors->rates));
	complete = errors->rates != NULL;
	for (size_t i = 0; i < errors->count; i++) {
		errors->patterns[i].counts = calloc(errors->workers, sizeof(*errors->patterns[i].counts));
		complete &= errors->patterns[i].counts != NULL;
	}
	if (complete && errors->count > 0) {
		errors->timer = repeat_start(block->process->loop, CONSOLIDATE_TICK_MS, on_timer, errors);
		complete = errors->timer != NULL;
	}
	if (complete)
		return VIGIE_OK;
	stop(errors);
	return vigie_error_memory(error);
}

/* Counts an error that a pattern takes. True: it is not written by itself; false: it is, at `level`. */
static bool consolidate(struct errors *errors, const struct vigie_request *request,
			enum vigie_log_level *level)
{
	size_t length = strlen(request->trouble);

	for (size_t i = 0; i < errors->count; i++) {
		struct pattern *pattern = &errors->patterns[i];

		if (!regex_match(pattern->regex, request->trouble, length, NULL))
			continue;
		atomic_fetch_add(&pattern->counts[request->worker->index], 1);
		*level = pattern->level;
		return !pattern->show_first || atomic_exchange(&pattern->open, true);
	}
	return false;
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

static __attribute__((noinline)) void write_trouble(struct errors *errors, struct vigie_request *request)
{
	enum vigie_log_level level = VIGIE_LOG_ERROR;
	char name[VIGIE_NAME_TEXT_MAX];
	char type[VIGIE_TEXT_MAX];

	if (request->silent || consolidate(errors, request, &level))
		return;
	if (!admit(&errors->rates[request->worker->index], request->worker->now_ms / 1000))
		return;
	vigie_log(level, "errors", "%u %s %s: %s", request->answer->rcode,
		  vigie_name_to_text(request->query->name.bytes, name),
		  vigie_type_text(request->query->type, type), request->trouble);
}

static void answered(void *instance, struct vigie_request *request)
{
	if (request->trouble)
		write_trouble(instance, request);
}

const struct vigie_directive vigie_directive_errors = {
	.name = "errors",
	.setup = setup,
	.start = start,
	.stop = stop,
	.answered = answered,
};

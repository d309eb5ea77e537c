/* `log [NAMES…] [FORMAT] { class CLASSES… }`: a line for each request. */
#include <string.h>

#include "directives.h"
#include "log_format.h"
#include "vigie/log.h"

struct rule {
	struct vigie_name scope;
	const struct log_format *format;
	bool classes[LOG_CLASSES];
};

struct log {
	size_t count;
	struct rule *rules; /* in file order: the first whose scope holds the name decides */
};

static enum vigie_status read_classes(const struct vigie_statement *option, bool *classes,
				      struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_args(option, 1, SIZE_MAX, error);

	for (size_t i = 0; i < option->arg_count && !status; i++) {
		const char *word = option->args[i].text;
		bool all = strcmp(word, "all") == 0;
		bool known = all;

		for (int class = 0; class < LOG_CLASSES; class ++) {
			bool same = strcmp(word, log_class_text((enum log_class) class)) == 0;

			known |= same;
			classes[class] |= all || same;
		}
		if (!known)
			status = vigie_word_error(error, &option->args[i],
						  "'class' takes all, success, denial and error, not '%s'",
						  word);
	}
	return status;
}

/* One statement makes a rule for each of its names. */
static enum vigie_status read_statement(struct vigie_block *block, const struct vigie_statement *statement,
					struct log *log, struct vigie_error *error)
{
	size_t names = statement->arg_count;
	const char *text = NULL;
	bool classes[LOG_CLASSES] = {false};
	bool every = true;
	const struct log_format *format;
	enum vigie_status status = VIGIE_OK;

	/* The last word is the format when it has a brace and names stand before it; alone it is one, too,
	 * where CoreDNS takes it for a name that no query has. */
	if (names > 0 && strchr(statement->args[names - 1].text, '{'))
		text = statement->args[--names].text;
	format = log_format_new(block->arena, text);
	if (!format)
		return vigie_error_memory(error);
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		if (strcmp(option->name.text, "class") != 0)
			return vigie_option_unknown(statement, option, error);
		status = read_classes(option, classes, error);
		every = false;
	}
	for (int class = 0; class < LOG_CLASSES; class ++)
		classes[class] |= every;
	for (size_t i = 0; !status && (i < names || (names == 0 && i == 0)); i++) {
		struct rule *rule = &log->rules[log->count];

		if (vigie_name_from_text(&rule->scope, names > 0 ? statement->args[i].text : "."))
			return vigie_word_error(error, &statement->args[i], "'%s' is not a name",
						statement->args[i].text);
		rule->format = format;
		memcpy(rule->classes, classes, sizeof(classes));
		log->count++;
	}
	return status;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct log *log = vigie_arena_alloc(block->arena, sizeof(*log));
	enum vigie_status status = VIGIE_OK;
	size_t most = count;

	for (size_t i = 0; i < count; i++)
		most += statements[i]->arg_count;
	if (log)
		log->rules = vigie_arena_alloc(block->arena, most * sizeof(*log->rules));
	if (!log || !log->rules)
		return vigie_error_memory(error);
	for (size_t i = 0; i < count && !status; i++)
		status = read_statement(block, statements[i], log, error);
	*instance = log;
	return status;
}

static void answered(void *instance, struct vigie_request *request)
{
	const struct log *log = instance;

	if (request->silent || request->channel == VIGIE_CHANNEL_INTERNAL ||
	    vigie_log_level() > VIGIE_LOG_INFO)
		return;
	for (size_t i = 0; i < log->count; i++) {
		const struct rule *rule = &log->rules[i];

		if (!vigie_name_is_below(&request->query->name, &rule->scope))
			continue;
		if (rule->classes[log_class(request->answer)])
			log_format_write(rule->format, request);
		return;
	}
}

const struct vigie_directive vigie_directive_log = {
	.name = "log",
	.setup = setup,
	.answered = answered,
};

/* `header { query|response set|clear FLAG… }`: flags of queries for the directives behind it, and of answers.
 */
#include <string.h>
#include <strings.h>

#include "directives.h"

/* Flags that become 1 and those that become 0; what comes later in the file wins. */
struct change {
	uint16_t set;
	uint16_t clear;
};

struct header {
	struct change query;
	struct change response;
};

static enum vigie_status read_flag(const struct vigie_word *word, uint16_t *flag, struct vigie_error *error)
{
	static const struct {
		const char *name;
		uint16_t flag;
	} flags[] = {{"aa", VIGIE_FLAG_AA}, {"ra", VIGIE_FLAG_RA}, {"rd", VIGIE_FLAG_RD}};

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		if (strcasecmp(flags[i].name, word->text) == 0) {
			*flag = flags[i].flag;
			return VIGIE_OK;
		}
	}
	return vigie_word_error(error, word, "'header' changes the flags aa, ra and rd, not '%s'",
				word->text);
}

static enum vigie_status read_rule(const struct vigie_statement *directive,
				   const struct vigie_statement *option, struct header *header,
				   struct vigie_error *error)
{
	bool query = strcasecmp(option->name.text, "query") == 0;
	struct change *change = query ? &header->query : &header->response;
	enum vigie_status status;
	bool set;

	if (!query && strcasecmp(option->name.text, "response") != 0)
		return vigie_option_unknown(directive, option, error);
	status = vigie_statement_plain(option, error);
	if (!status)
		status = vigie_statement_args(option, 2, SIZE_MAX, error);
	if (status)
		return status;
	set = strcasecmp(option->args[0].text, "set") == 0;
	if (!set && strcasecmp(option->args[0].text, "clear") != 0)
		return vigie_word_error(error, &option->args[0], "'%s' takes set or clear, not '%s'",
					option->name.text, option->args[0].text);
	for (size_t i = 1; i < option->arg_count; i++) {
		uint16_t flag = 0;

		status = read_flag(&option->args[i], &flag, error);
		if (status)
			return status;
		change->set = (uint16_t)(set ? change->set | flag : change->set & ~flag);
		change->clear = (uint16_t)(set ? change->clear & ~flag : change->clear | flag);
	}
	return VIGIE_OK;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	struct header *header = vigie_arena_alloc(block->arena, sizeof(*header));
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!header)
		return vigie_error_memory(error);
	if (!status)
		status = vigie_statement_args(statement, 0, 0, error);
	if (!status && statement->body_count == 0)
		return vigie_word_error(error, &statement->name,
					"'header' needs a block with a line such as 'response set ra'");
	for (size_t i = 0; i < statement->body_count && !status; i++)
		status = read_rule(statement, &statement->body[i], header, error);
	*instance = header;
	return status;
}

static uint16_t changed(uint16_t flags, const struct change *change)
{
	return (uint16_t)((flags | change->set) & ~change->clear);
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct header *header = instance;

	request->query->flags = changed(request->query->flags, &header->query);
	return VIGIE_NEXT;
}

static void answered(void *instance, struct vigie_request *request)
{
	const struct header *header = instance;

	/* The RD of an answer is the query's; the other flags of a query mean nothing any more. */
	request->query->flags = changed(request->query->flags, &header->response);
	request->answer->flags = changed(request->answer->flags, &header->response);
}

const struct vigie_directive vigie_directive_header = {
	.name = "header",
	.setup = setup,
	.serve = serve,
	.answered = answered,
};

/* `control PATH|off`: where `vigie ctl` finds this process. vigie's own. */
#include <string.h>

#include "directives.h"

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	enum vigie_status status = vigie_statement_once(statements, count, error);
	const struct vigie_word *word = statement->args;

	if (!status)
		status = vigie_statement_args(statement, 1, 1, error);
	if (!status)
		status = vigie_statement_plain(statement, error);
	if (status)
		return status;
	if (block->process->control && strcmp(block->process->control, word->text) != 0)
		return vigie_word_error(error, word,
					"'control' says '%s' in another block: there is one for the process",
					block->process->control);
	if (word->text[0] != '/' && strcmp(word->text, "off") != 0)
		return vigie_word_error(error, word,
					"'control' takes the absolute path of a socket, or off, not '%s'",
					word->text);
	block->process->control = word->text;
	return VIGIE_OK;
}

const struct vigie_directive vigie_directive_control = {
	.name = "control",
	.setup = setup,
};

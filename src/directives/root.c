/* `root PATH`: where the relative paths of `file`, `auto` and `tls` begin. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "directives.h"
#include "vigie/log.h"

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	enum vigie_status status = vigie_statement_once(statements, count, error);
	struct stat folder;

	if (!status)
		status = vigie_statement_plain(statement, error);
	if (!status)
		status = vigie_statement_args(statement, 1, 1, error);
	if (status)
		return status;
	block->root = statement->args[0].text;
	if (stat(block->root, &folder) == 0 && !S_ISDIR(folder.st_mode))
		return vigie_word_error(error, &statement->args[0], "'%s' is no folder", block->root);
	if (stat(block->root, &folder))
		vigie_log(VIGIE_LOG_WARNING, "root", "%s:%u: '%s': %s", statement->args[0].file,
			  statement->args[0].line, block->root, strerror(errno));
	return VIGIE_OK;
}

const struct vigie_directive vigie_directive_root = {
	.name = "root",
	.setup = setup,
};

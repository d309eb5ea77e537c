/* `view NAME { expr EXPRESSION }`: the block is for queries alone for which all its expressions hold. */
#include <string.h>

#include "directives.h"
#include "expression.h"

enum {
	NAME_MAX_BYTES = 255 /* bytes of a view's name: it becomes a label of metrics */
};

struct view {
	const char *name;
	const struct expression **expressions;
	size_t count;
};

static enum vigie_status read_expression(struct vigie_block *block, const struct vigie_statement *option,
					 struct view *view, struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_plain(option, error);
	const char *text;

	if (!status)
		status = vigie_statement_args(option, 1, SIZE_MAX, error);
	if (status)
		return status;
	text = vigie_statement_join(option, block->arena); /* as CoreDNS puts them together again */
	if (!text)
		return vigie_error_memory(error);
	view->expressions[view->count] = expression_new(block->arena, &option->args[0], text, error);
	if (!view->expressions[view->count])
		return VIGIE_EINVAL;
	view->count++;
	return VIGIE_OK;
}

static bool holds(void *instance, struct vigie_request *request)
{
	const struct view *view = instance;

	for (size_t i = 0; i < view->count; i++) {
		if (!expression_holds(view->expressions[i], request))
			return false;
	}
	return true;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	struct view *view = vigie_arena_alloc(block->arena, sizeof(*view));
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (view)
		view->expressions =
			vigie_arena_alloc(block->arena, (statement->body_count + 1) * sizeof(const void *));
	if (!view || !view->expressions)
		return vigie_error_memory(error);
	if (!status)
		status = vigie_statement_args(statement, 1, 1, error);
	if (!status && strlen(statement->args[0].text) > NAME_MAX_BYTES)
		status = vigie_word_error(error, &statement->args[0], "'%s' has more than %d bytes",
					  statement->args[0].text, NAME_MAX_BYTES);
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		status = strcmp(option->name.text, "expr") == 0
				 ? read_expression(block, option, view, error)
				 : vigie_option_unknown(statement, option, error);
	}
	if (status)
		return status;
	if (view->count == 0)
		return vigie_word_error(error, &statement->name,
					"'view' needs a line such as expr incidr(client_ip(), '10.0.0.0/8')");
	view->name = statement->args[0].text;
	block->view = view->name;
	block->view_holds = holds;
	block->view_argument = view;
	*instance = view;
	return VIGIE_OK;
}

static bool metadata(void *instance, struct vigie_request *request, const char *label, char *value)
{
	const struct view *view = instance;

	if (strcmp(label, "name") != 0)
		return false;
	strcpy(value, view->name);
	return true;
}

const struct vigie_directive vigie_directive_view = {
	.name = "view",
	.setup = setup,
	.metadata = metadata,
};

/* `chaos [VERSION [AUTHORS…]]`: what this server is, for TXT queries of class CH. */
#include <stdlib.h>
#include <string.h>

#include "directives.h"
#include "hostname.h"

enum {
	TEXT_MAX = 255 /* bytes of a character-string; longer words are cut */
};

struct chaos {
	const char *version;
	const char **authors;
	size_t author_count;
	const char *hostname;
	struct vigie_name version_bind;
	struct vigie_name version_server;
	struct vigie_name authors_bind;
	struct vigie_name hostname_bind;
	struct vigie_name id_server;
};

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	struct chaos *chaos = vigie_arena_alloc(block->arena, sizeof(*chaos));
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!status)
		status = vigie_statement_plain(statement, error);
	if (status)
		return status;
	if (!chaos)
		return vigie_error_memory(error);
	chaos->authors = vigie_arena_alloc(block->arena, (statement->arg_count + 1) * sizeof(char *));
	chaos->hostname = hostname_get(block->arena);
	if (!chaos->authors || !chaos->hostname)
		return vigie_error_memory(error);
	chaos->version = statement->arg_count > 0 ? statement->args[0].text : "vigie-" VIGIE_VERSION;
	for (size_t i = 1; i < statement->arg_count; i++)
		chaos->authors[chaos->author_count++] = statement->args[i].text;
	if (chaos->author_count > 1)
		qsort(chaos->authors, chaos->author_count, sizeof(*chaos->authors), compare_texts);
	vigie_name_from_text(&chaos->version_bind, "version.bind.");
	vigie_name_from_text(&chaos->version_server, "version.server.");
	vigie_name_from_text(&chaos->authors_bind, "authors.bind.");
	vigie_name_from_text(&chaos->hostname_bind, "hostname.bind.");
	vigie_name_from_text(&chaos->id_server, "id.server.");
	*instance = chaos;
	return VIGIE_OK;
}

static void write_text(struct vigie_request *request, const char *text)
{
	size_t length = strnlen(text, TEXT_MAX);
	uint8_t *rdata = vigie_answer_rr(request->answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION, VIGIE_TYPE_TXT,
					 0, (uint16_t)(1 + length));

	if (!rdata)
		return;
	vigie_answer_set_class(rdata, VIGIE_CLASS_CH);
	rdata[0] = (uint8_t)length;
	memcpy(rdata + 1, text, length);
}

static bool is(const struct vigie_request *request, const struct vigie_name *name)
{
	return vigie_name_equal(request->query->name.bytes, name->bytes);
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct chaos *chaos = instance;

	if (request->query->class != VIGIE_CLASS_CH || request->query->type != VIGIE_TYPE_TXT)
		return VIGIE_NEXT;
	if (is(request, &chaos->version_bind) || is(request, &chaos->version_server)) {
		write_text(request, chaos->version);
	} else if (is(request, &chaos->hostname_bind) || is(request, &chaos->id_server)) {
		write_text(request, chaos->hostname);
	} else if (is(request, &chaos->authors_bind)) {
		for (size_t i = 0; i < chaos->author_count; i++)
			write_text(request, chaos->authors[i]);
	} else {
		return VIGIE_NEXT;
	}
	return VIGIE_ANSWERED;
}

const struct vigie_directive vigie_directive_chaos = {
	.name = "chaos",
	.setup = setup,
	.serve = serve,
};

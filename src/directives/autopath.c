/* `autopath [ZONES…] RESOLV-CONF|@kubernetes`: goes the client's search path for it, so that one query does.
 */
#include <errno.h>
#include <string.h>

#include "directives.h"
#include "kubernetes.h"
#include "record_writer.h"
#include "search_path.h"
#include "tally.h"
#include "vigie/log.h"
#include "vigie/metrics.h"
#include "zones.h"

struct autopath {
	struct vigie_block *block;
	const struct vigie_statement *statement;
	struct zones zones;
	bool kubernetes;         /* ask that directive */
	struct search_path path; /* of a file: the whole; else what comes behind the cluster's domains */
	struct tally *tally;     /* answers found on the path */
};

static enum vigie_status read_source(struct autopath *autopath, const struct vigie_word *word,
				     struct vigie_error *error)
{
	autopath->kubernetes = strcmp(word->text, "@kubernetes") == 0;
	if (autopath->kubernetes) {
		/* Pods have the node's search path behind the cluster's, and so has this server. */
		search_path_read(&autopath->path, "/etc/resolv.conf");
		return VIGIE_OK;
	}
	if (word->text[0] == '@')
		return vigie_word_error(error, word, "'%s': only @kubernetes knows search paths", word->text);
	if (search_path_read(&autopath->path, word->text))
		return vigie_word_error(error, word, "cannot read '%s': %s", word->text, strerror(errno));
	if (autopath->path.count == 0)
		return vigie_word_error(error, word, "file '%s' has no line 'search DOMAINS…'", word->text);
	return VIGIE_OK;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	struct autopath *autopath = vigie_arena_alloc(block->arena, sizeof(*autopath));
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!autopath)
		return vigie_error_memory(error);
	if (!status)
		status = vigie_statement_plain(statement, error);
	if (!status)
		status = vigie_statement_args(statement, 1, SIZE_MAX, error);
	if (!status)
		status = read_source(autopath, &statement->args[statement->arg_count - 1], error);
	if (!status)
		status = zones_from_words_or_keys(&autopath->zones, block, statement->args,
						  statement->arg_count - 1, error);
	if (status)
		return status;
	autopath->block = block;
	autopath->statement = statement;
	autopath->tally = tally_new(1);
	*instance = autopath;
	return autopath->tally ? VIGIE_OK : vigie_error_memory(error);
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	const struct autopath *autopath = instance;
	const struct vigie_word *word = &autopath->statement->args[autopath->statement->arg_count - 1];
	const struct kubernetes *kubernetes = block->kubernetes;

	if (!autopath->kubernetes)
		return VIGIE_OK;
	if (!kubernetes)
		return vigie_word_error(error, word, "'%s': there is no 'kubernetes' in this block",
					word->text);
	if (kubernetes->view.pods != VIGIE_PODS_VERIFIED)
		vigie_log(VIGIE_LOG_WARNING, "autopath",
			  "%s:%u: '@kubernetes' has no effect without 'pods verified': no pod is known",
			  word->file, word->line);
	return VIGIE_OK;
}

static void autopath_free(void *instance)
{
	struct autopath *autopath = instance;

	tally_free(autopath->tally);
}

/* The client's search path, closed by the root: the name as the client's user wrote it. False when the query
 * is not the first of those that the client would send. */
static bool find_path(const struct autopath *autopath, const struct vigie_request *request,
		      struct search_path *path)
{
	const struct vigie_query *query = request->query;
	struct vigie_name root;

	if (query->class != VIGIE_CLASS_IN || !zones_match(&autopath->zones, &query->name))
		return false;
	path->count = 0;
	if (autopath->kubernetes && !kubernetes_search_path(autopath->block->kubernetes, request, path))
		return false;
	for (size_t i = 0; i < autopath->path.count; i++)
		search_path_add(path, &autopath->path.domains[i]);
	if (path->count == SEARCH_PATH_MAX)
		path->count--;
	vigie_name_from_text(&root, ".");
	search_path_add(path, &root);
	return vigie_name_is_below(&query->name, &path->domains[0]) &&
	       query->name.labels > path->domains[0].labels;
}

/* The query's name with another domain in place of the path's first. False when it is too long. */
static bool make_name(const struct vigie_query *query, const struct search_path *path, size_t index,
		      struct vigie_name *name)
{
	const struct vigie_name *domain = &path->domains[index];
	size_t base = query->name.offset[query->name.labels - path->domains[0].labels];
	uint8_t wire[2 * VIGIE_NAME_MAX];

	memcpy(wire, query->name.bytes, base);
	memcpy(wire + base, domain->bytes, domain->length);
	return base + domain->length <= VIGIE_NAME_MAX &&
	       vigie_name_from_wire(name, wire, base + domain->length) == VIGIE_OK;
}

/* Which of the path's names was asked; path->count when it is none. A name that stands there twice is the
 * first. */
static size_t find_index(const struct vigie_query *query, const struct search_path *path,
			 const struct vigie_name *asked)
{
	struct vigie_name name;
	size_t index = 0;

	while (index < path->count &&
	       !(make_name(query, path, index, &name) && vigie_name_equal(name.bytes, asked->bytes)))
		index++;
	return index;
}

static enum vigie_verdict done(struct vigie_request *request, const uint8_t *reply, size_t length,
			       void *argument);

/* Asks for the next name of the path; at its end the first reply, which the answer holds, is the answer. */
static enum vigie_verdict ask_next(const struct autopath *autopath, struct vigie_request *request,
				   const struct search_path *path, size_t index)
{
	const struct vigie_query *query = request->query;

	for (; index < path->count; index++) {
		uint8_t packet[VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4 + 11];
		struct vigie_query next;
		struct vigie_name name;
		size_t size;

		if (!make_name(query, path, index, &name) || find_index(query, path, &name) != index)
			continue;
		size = vigie_query_write(packet, sizeof(packet), query->id, query->flags, name.bytes,
					 query->type, query->class, query->edns, query->edns_do);
		if (vigie_query_parse(&next, packet, size) == VIGIE_GATE_OK)
			return vigie_request_pass(request, &next, done, (void *)autopath);
	}
	return VIGIE_ANSWERED;
}

/* A CNAME record leads from the query's name to the one that was found. */
static bool write_cname(struct vigie_answer *answer, const struct vigie_record_walk *reply)
{
	struct vigie_record_walk walk = *reply;
	struct vigie_record first;
	struct vigie_name owner;
	uint8_t *rdata;

	if (walk.left[VIGIE_ANSWER] == 0)
		return true;
	if (!vigie_record_next(&walk, &first) || !vigie_record_name(&walk, first.owner, &owner))
		return false;
	rdata = vigie_answer_rr(answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION, VIGIE_TYPE_CNAME, first.ttl,
				owner.length);
	if (rdata)
		memcpy(rdata, owner.bytes, owner.length);
	return true;
}

static bool write_answer(struct vigie_answer *answer, const uint8_t *reply, size_t length)
{
	struct record_writer writer = {.answer = answer};
	struct vigie_record_walk walk;
	struct vigie_record record;

	vigie_answer_reset(answer);
	answer->flags = vigie_reply_flags(reply) & (VIGIE_FLAG_AA | VIGIE_FLAG_TC | VIGIE_FLAG_RA);
	vigie_record_walk_message(&walk, reply, length);
	if (!write_cname(answer, &walk))
		return false;
	while (vigie_record_next(&walk, &record)) {
		if (record.type != VIGIE_TYPE_OPT && !record_writer_copy(&writer, &walk, &record))
			return false;
	}
	return true;
}

static enum vigie_verdict done(struct vigie_request *request, const uint8_t *reply, size_t length,
			       void *argument)
{
	const struct autopath *autopath = argument;
	struct search_path path;
	struct vigie_name asked;
	bool first;

	if (!reply && request->answer->rcode == VIGIE_RCODE_NOERROR)
		return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL,
					  "autopath: too many queries within a query, or out of memory");
	if (!reply || vigie_name_from_wire(&asked, reply + VIGIE_HEADER_SIZE, length - VIGIE_HEADER_SIZE))
		return VIGIE_ANSWERED;
	first = vigie_name_equal(asked.bytes, request->query->name.bytes);
	if (first && vigie_answer_take(request->answer, reply, length))
		return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "autopath: the answer is malformed");
	if (vigie_reply_rcode(reply) != VIGIE_RCODE_NOERROR) {
		/* A pod that has gone meanwhile ends the search. */
		if (!find_path(autopath, request, &path))
			return VIGIE_ANSWERED;
		return ask_next(autopath, request, &path, find_index(request->query, &path, &asked) + 1);
	}
	if (!first && !write_answer(request->answer, reply, length))
		return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "autopath: the answer is malformed");
	tally_count(autopath->tally, request, 0);
	return VIGIE_ANSWERED;
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	struct search_path path;

	if (!find_path(instance, request, &path))
		return VIGIE_NEXT;
	return vigie_request_pass(request, request->query, done, instance);
}

static void metrics(void *instance, struct vigie_metrics *metrics)
{
	const struct autopath *autopath = instance;
	char labels[128] = "";

	vigie_metrics_label(labels, sizeof(labels), "server", autopath->block->server);
	vigie_metrics_add(metrics, "coredns_autopath_success_total", VIGIE_COUNTER,
			  "Requests that were answered on the client's search path.", labels,
			  (double)tally_sum(autopath->tally, 0));
}

const struct vigie_directive vigie_directive_autopath = {
	.name = "autopath",
	.setup = setup,
	.start = start,
	.free = autopath_free,
	.serve = serve,
	.metrics = metrics,
};

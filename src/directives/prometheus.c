/* `prometheus [ADDRESS]`: /metrics, and the count of this block's requests. */
#include "directives.h"
#include "request_metrics.h"
#include "vigie/http.h"
#include "vigie/keep.h"
#include "vigie/log.h"
#include "vigie/metrics.h"
#include "vigie/process_metrics.h"

#include <string.h>

struct prometheus {
	const struct vigie_statement *statement;
	const struct vigie_block *block;
	const char *address;
	struct request_metrics *requests; /* from start to stop */
	bool serves;                      /* this block's instance holds the address; others may share it */
};

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	struct prometheus *prometheus = vigie_arena_alloc(block->arena, sizeof(*prometheus));
	enum vigie_status status;

	if (!prometheus)
		return vigie_error_memory(error);
	status = vigie_statement_http(statements, count, "localhost:9153", &prometheus->address, error);
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		if (strcmp(option->name.text, "runtime_metrics") != 0)
			return vigie_option_unknown(statement, option, error);
		status = vigie_statement_args(option, 0, 0, error);
		vigie_log(VIGIE_LOG_WARNING, "prometheus",
			  "%s:%u: 'runtime_metrics' has no effect here: there is no Go runtime",
			  option->name.file, option->name.line);
	}
	prometheus->statement = statement;
	prometheus->block = block;
	*instance = prometheus;
	return status;
}

static unsigned respond(void *argument, struct vigie_http_response *response)
{
	const struct prometheus *prometheus = argument;
	const struct vigie_process *process = prometheus->block->process;
	struct vigie_metrics *metrics = vigie_metrics_new();
	enum vigie_status status = VIGIE_ENOMEM;

	if (metrics) {
		vigie_process_metrics_add(metrics);
		process->metrics(process->server, metrics);
		status = vigie_metrics_write(metrics, &response->body);
	}
	vigie_metrics_free(metrics);
	response->type = "text/plain; version=0.0.4; charset=utf-8";
	return status ? 500 : 200;
}

static void stop(void *instance)
{
	struct prometheus *prometheus = instance;

	if (prometheus->serves)
		vigie_http_stop(prometheus->block->process->http, prometheus->address, "/metrics",
				prometheus);
	prometheus->serves = false;
	if (prometheus->requests)
		vigie_keep_release(prometheus->block->process->keep, prometheus->requests);
	prometheus->requests = NULL;
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct prometheus *prometheus = instance;
	struct vigie_error reason;
	enum vigie_status status;

	prometheus->requests = request_metrics_acquire(block);
	if (!prometheus->requests)
		return vigie_error_memory(error);
	status = vigie_http_serve(block->process->http, prometheus->address, "/metrics", respond, prometheus,
				  &reason);
	prometheus->serves = status == VIGIE_OK;
	if (status == VIGIE_OK || status == VIGIE_EEXIST)
		return VIGIE_OK; /* one page tells of all blocks */
	stop(prometheus);
	return vigie_word_error(error, &prometheus->statement->name, "'prometheus': %s", reason.text);
}

static void answered(void *instance, struct vigie_request *request)
{
	struct prometheus *prometheus = instance;

	if (request->channel != VIGIE_CHANNEL_INTERNAL)
		request_metrics_count(prometheus->requests, request);
}

static void metrics(void *instance, struct vigie_metrics *scrape)
{
	const struct prometheus *prometheus = instance;

	if (prometheus->requests)
		request_metrics_add(prometheus->requests, scrape);
}

const struct vigie_directive vigie_directive_prometheus = {
	.name = "prometheus",
	.setup = setup,
	.start = start,
	.stop = stop,
	.answered = answered,
	.metrics = metrics,
};

/* `health [ADDRESS] { lameduck DURATION }`: 200 for as long as the process lives. */
#include <stdlib.h>
#include <string.h>

#include "directives.h"
#include "vigie/clock.h"
#include "vigie/http.h"
#include "vigie/metrics.h"

enum { LOOK_MS = 1000, BOUNDS = 5 };

static const double bounds[BOUNDS] = {0.00025, 0.0025, 0.025, 0.25, 2.5};

/* How late the loop that answers probes comes to what is due: what a probe would have waited. Its own memory:
 * the timer closes after the block has gone. */
struct probe {
	uv_timer_t timer;
	uint64_t due_us;
	uint64_t counts[BOUNDS + 1];
	double sum;
};

struct health {
	const struct vigie_statement *statement;
	struct vigie_http *http;
	const char *address;
	struct probe *probe; /* from start to stop */
};

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_statement *statement = statements[0];
	struct health *health = vigie_arena_alloc(block->arena, sizeof(*health));
	enum vigie_status status;

	if (!health)
		return vigie_error_memory(error);
	status = vigie_statement_http(statements, count, ":8080", &health->address, error);
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];
		uint64_t lameduck;

		if (strcmp(option->name.text, "lameduck") != 0)
			return vigie_option_unknown(statement, option, error);
		status = vigie_statement_args(option, 1, 1, error);
		if (!status)
			status = vigie_duration_from_word(&option->args[0], &lameduck, error);
		if (!status && lameduck > block->process->lameduck_ms)
			block->process->lameduck_ms = lameduck;
	}
	health->statement = statement;
	health->http = block->process->http;
	*instance = health;
	return status;
}

static unsigned respond(void *argument, struct vigie_http_response *response)
{
	vigie_buffer_append(&response->body, "OK", 2);
	return 200;
}

static void on_timer(uv_timer_t *timer)
{
	struct probe *probe = timer->data;
	uint64_t now_us = vigie_clock_us();
	double late = now_us > probe->due_us ? (double)(now_us - probe->due_us) / 1e6 : 0;
	size_t at = 0;

	while (at < BOUNDS && late > bounds[at])
		at++;
	probe->counts[at]++;
	probe->sum += late;
	probe->due_us = now_us + LOOK_MS * 1000;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void stop(void *instance)
{
	struct health *health = instance;

	if (health->probe)
		uv_close((uv_handle_t *)&health->probe->timer, on_closed);
	health->probe = NULL;
	vigie_http_stop(health->http, health->address, "/health", health);
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct health *health = instance;
	struct vigie_error reason;

	if (vigie_http_serve(health->http, health->address, "/health", respond, health, &reason))
		return vigie_word_error(error, &health->statement->name, "'health': %s", reason.text);
	health->probe = calloc(1, sizeof(*health->probe));
	if (!health->probe) {
		stop(health);
		return vigie_error_memory(error);
	}
	uv_timer_init(block->process->loop, &health->probe->timer);
	health->probe->timer.data = health->probe;
	health->probe->due_us = vigie_clock_us() + LOOK_MS * 1000;
	uv_timer_start(&health->probe->timer, on_timer, LOOK_MS, LOOK_MS);
	return VIGIE_OK;
}

static void metrics(void *instance, struct vigie_metrics *scrape)
{
	const struct health *health = instance;
	const struct probe *probe = health->probe;

	if (!probe)
		return;
	vigie_metrics_add_histogram(
		scrape, "coredns_health_request_duration_seconds",
		"Seconds that a probe would have waited for this server.", "",
		&(struct vigie_histogram){
			.bounds = bounds, .bound_count = BOUNDS, .counts = probe->counts, .sum = probe->sum});
	vigie_metrics_add(scrape, "coredns_health_request_failures_total", VIGIE_COUNTER,
			  "Always 0: the loop is watched without a request that could fail.", "", 0);
}

const struct vigie_directive vigie_directive_health = {
	.name = "health",
	.setup = setup,
	.start = start,
	.stop = stop,
	.metrics = metrics,
};

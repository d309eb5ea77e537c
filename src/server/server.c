#include "vigie/server.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpus.h"
#include "listen.h"
#include "metrics.h"
#include "vigie/clock.h"
#include "vigie/http.h"
#include "vigie/log.h"

enum {
	READY_POLL_MS = 5,       /* how often readiness is looked at before the first answer */
	READY_LOG_AFTER_MS = 500 /* how often the log says that it is waited for */
};

struct vigie_server {
	struct vigie_process process;
	struct block **blocks;
	size_t block_count;
	struct listeners listeners;
	struct worker **workers;
	unsigned worker_count;
	atomic_uint workers_ended;
	uint64_t start_ms;
	uint64_t log_ms;  /* when the log says next that it is waited for */
	uv_timer_t wait;  /* for readiness at the start, for the end of the lame duck later */
	uv_async_t ended; /* a worker's thread has ended */
	unsigned handles; /* that the loop has not closed yet */
	bool serving;
	bool draining;
	void (*done)(void *argument);
	void *done_argument;
};

/* Whether every directive is ready; else, with `names`, one line for each that is not. */
static bool all_ready(void *argument, struct vigie_buffer *names)
{
	const struct vigie_server *server = argument;
	bool ready = true;

	for (size_t b = 0; b < server->block_count; b++) {
		const struct block *block = server->blocks[b];

		for (size_t i = 0; i < block->link_count; i++) {
			const struct vigie_directive *directive = block->links[i].directive;

			if (!directive->ready || directive->ready(block->links[i].instance))
				continue;
			ready = false;
			if (names && names->length > 0)
				vigie_buffer_append(names, ",", 1);
			if (names)
				vigie_buffer_append(names, directive->name, strlen(directive->name));
		}
	}
	return ready;
}

static void add_detail(void *argument, struct vigie_buffer *text)
{
	const struct vigie_server *server = argument;

	for (size_t b = 0; b < server->block_count; b++) {
		const struct block *block = server->blocks[b];

		for (size_t i = 0; i < block->link_count; i++)
			if (block->links[i].directive->detail)
				block->links[i].directive->detail(block->links[i].instance, text);
	}
}

/* Everything that there is to measure. */
static void add_metrics(void *argument, struct vigie_metrics *metrics)
{
	const struct vigie_server *server = argument;

	server_add_metrics(metrics, server->workers, server->worker_count);
	for (size_t b = 0; b < server->block_count; b++)
		block_add_metrics(server->blocks[b], metrics);
}

static void log_counters(const struct vigie_server *server)
{
	struct counters sum;
	uint64_t refused = 0;

	counters_sum(&sum, server->workers, server->worker_count);
	for (int gate = 0; gate < VIGIE_GATES; gate++)
		refused += sum.refused[gate];
	vigie_log(VIGIE_LOG_INFO, NULL,
		  "Queries: %" PRIu64 " by UDP, %" PRIu64 " by TCP, %" PRIu64 " dropped, %" PRIu64
		  " answers not sent. Connections: %" PRIu64 " accepted, %" PRIu64 " rejected, %" PRIu64
		  " evicted, %" PRIu64 " idle, %" PRIu64 " slow",
		  sum.udp_queries, sum.tcp_queries, sum.dropped, sum.udp_unsent, sum.tcp_accepted,
		  sum.tcp_rejected, sum.tcp_evicted, sum.tcp_idle, sum.tcp_slow);
	if (refused == 0)
		return;
	vigie_log(VIGIE_LOG_INFO, NULL,
		  "Packets refused: %" PRIu64 " short, %" PRIu64 " response, %" PRIu64 " opcode, %" PRIu64
		  " qdcount, %" PRIu64 " format, %" PRIu64 " version",
		  sum.refused[VIGIE_GATE_SHORT], sum.refused[VIGIE_GATE_RESPONSE],
		  sum.refused[VIGIE_GATE_OPCODE], sum.refused[VIGIE_GATE_QDCOUNT],
		  sum.refused[VIGIE_GATE_FORMAT], sum.refused[VIGIE_GATE_VERSION]);
}

static void stop_blocks(struct vigie_server *server)
{
	for (size_t i = server->block_count; i-- > 0;)
		block_stop(server->blocks[i]);
}

static void on_worker_ended(uv_async_t *async)
{
	struct vigie_server *server = async->data;

	if (atomic_load(&server->workers_ended) < server->worker_count)
		return;
	log_counters(server);
	stop_blocks(server);
	server->done(server->done_argument);
}

struct vigie_server *vigie_server_new(uv_loop_t *loop, const struct vigie_corefile *corefile,
				      struct vigie_error *error)
{
	struct vigie_server *server = calloc(1, sizeof(*server));

	if (!server)
		goto memory;
	server->process.loop = loop;
	server->process.ready = all_ready;
	server->process.detail = add_detail;
	server->process.metrics = add_metrics;
	server->process.server = server;
	uv_timer_init(loop, &server->wait);
	uv_async_init(loop, &server->ended, on_worker_ended);
	server->wait.data = server;
	server->ended.data = server;
	server->handles = 2;
	server->blocks = calloc(corefile->block_count, sizeof(struct block *));
	server->process.http = vigie_http_new(loop);
	if (!server->blocks || !server->process.http)
		goto memory;
	for (size_t i = 0; i < corefile->block_count; i++) {
		struct block *block = block_new(&corefile->blocks[i], &server->process, error);

		if (!block)
			goto fail;
		server->blocks[server->block_count++] = block;
	}
	for (size_t i = 0; i < server->block_count; i++) {
		if (listeners_add(&server->listeners, server->blocks[i], error))
			goto fail;
	}
	return server;

memory:
	vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
fail:
	vigie_server_free(server);
	return NULL;
}

/* Counts a worker out; in its thread, but for one that never ran. */
static void worker_has_ended(void *argument)
{
	struct vigie_server *server = argument;

	atomic_fetch_add(&server->workers_ended, 1);
	uv_async_send(&server->ended);
}

static void serve(struct vigie_server *server)
{
	server->serving = true;
	uv_timer_stop(&server->wait);
	for (unsigned i = 0; i < server->worker_count; i++) {
		if (worker_start(server->workers[i], worker_has_ended, server)) {
			vigie_log(VIGIE_LOG_ERROR, NULL, "cannot start worker %u of %u: going on with fewer",
				  i, server->worker_count);
			worker_has_ended(server);
		}
	}
}

static void on_wait(uv_timer_t *timer)
{
	struct vigie_server *server = timer->data;
	uint64_t now = vigie_clock_ms();

	if (all_ready(server, NULL)) {
		serve(server);
		return;
	}
	if (now - server->start_ms >= server->process.startup_ms) {
		vigie_log(VIGIE_LOG_WARNING, "kubernetes", "starting server with unsynced Kubernetes API");
		serve(server);
		return;
	}
	if (now >= server->log_ms) {
		vigie_log(VIGIE_LOG_INFO, "kubernetes", "waiting for Kubernetes API before starting server");
		server->log_ms = now + READY_LOG_AFTER_MS;
	}
}

static enum vigie_status make_workers(struct vigie_server *server, struct vigie_error *error)
{
	const struct vigie_process *process = &server->process;
	unsigned asked = process->workers ? process->workers : process->sockets;
	unsigned count = asked ? asked : cpus_allowed();

	server->process.workers = count;
	server->process.servers = server->listeners.names;
	server->process.server_count = server->listeners.count;
	server->workers = calloc(count, sizeof(struct worker *));
	if (!server->workers)
		return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
	for (unsigned w = 0; w < count; w++) {
		server->workers[w] = worker_new(w);
		if (!server->workers[w])
			return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
		server->worker_count++;
		for (size_t i = 0; i < server->listeners.count; i++) {
			enum vigie_status status =
				worker_listen(server->workers[w], server->listeners.list[i], error);

			if (status)
				return status;
		}
	}
	return VIGIE_OK;
}

enum vigie_status vigie_server_start(struct vigie_server *server, struct vigie_error *error)
{
	enum vigie_status status = listeners_check(&server->listeners, error);

	vigie_log_set_level(server->process.debug ? VIGIE_LOG_DEBUG : VIGIE_LOG_INFO);
	if (!status)
		status = make_workers(server, error);
	for (size_t i = 0; i < server->block_count && !status; i++)
		status = block_start(server->blocks[i], error);
	if (status)
		return status;
	server->start_ms = vigie_clock_ms();
	server->log_ms = server->start_ms + READY_LOG_AFTER_MS;
	uv_timer_start(&server->wait, on_wait, 0, READY_POLL_MS);
	return VIGIE_OK;
}

static void on_lameduck_end(uv_timer_t *timer)
{
	struct vigie_server *server = timer->data;

	if (!server->serving) {
		/* It ends before it began: nobody is asked to end. */
		atomic_store(&server->workers_ended, server->worker_count);
		uv_async_send(&server->ended);
		return;
	}
	for (unsigned i = 0; i < server->worker_count; i++)
		worker_stop(server->workers[i]);
}

void vigie_server_drain(struct vigie_server *server, void (*done)(void *argument), void *argument)
{
	if (server->draining)
		return;
	server->draining = true;
	server->process.draining = true;
	server->done = done;
	server->done_argument = argument;
	for (size_t i = 0; i < server->block_count; i++)
		block_drain(server->blocks[i]);
	uv_timer_start(&server->wait, on_lameduck_end, server->serving ? server->process.lameduck_ms : 0, 0);
}

void vigie_server_print(const struct vigie_server *server)
{
	for (size_t b = 0; b < server->block_count; b++) {
		const struct vigie_server_block *source = server->blocks[b]->setup.source;

		for (size_t k = 0; k < source->key_count; k++) {
			char line[VIGIE_NAME_TEXT_MAX + 8];
			char text[VIGIE_NAME_TEXT_MAX];
			int length = snprintf(line, sizeof(line), "%s:%u\n",
					      vigie_name_to_text(source->keys[k].zone.bytes, text),
					      source->keys[k].port);

			vigie_log_lines(line, (size_t)length);
		}
	}
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct vigie_server *server = handle->data;

	if (--server->handles == 0)
		free(server);
}

void vigie_server_free(struct vigie_server *server)
{
	if (!server)
		return;
	for (unsigned i = 0; i < server->worker_count; i++)
		worker_free(server->workers[i]);
	free(server->workers);
	stop_blocks(server);
	for (size_t i = 0; i < server->block_count; i++)
		block_free(server->blocks[i]);
	free(server->blocks);
	listeners_fini(&server->listeners);
	if (server->process.http)
		vigie_http_close(server->process.http);
	uv_close((uv_handle_t *)&server->wait, on_handle_closed);
	uv_close((uv_handle_t *)&server->ended, on_handle_closed);
}

#include "vigie/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "cpus.h"
#include "metrics.h"
#include "state.h"
#include "vigie/clock.h"
#include "vigie/http.h"
#include "vigie/keep.h"
#include "vigie/log.h"
#include "vigie/thread.h"

/* Whether every directive is ready; else, with `names`, the names of those that are not. */
static bool all_ready(void *argument, struct vigie_buffer *names)
{
	const struct vigie_server *server = argument;

	return generation_ready(server->current, names);
}

static void reload_changed(void *argument)
{
	vigie_server_reload(argument, true, NULL, NULL);
}

static void add_detail(void *argument, struct vigie_buffer *text)
{
	const struct vigie_server *server = argument;

	generation_detail(server->current, text);
}

/* Everything that there is to measure. */
static void add_metrics(void *argument, struct vigie_metrics *metrics)
{
	const struct vigie_server *server = argument;

	server_add_metrics(metrics, server->workers, server->worker_count);
	reload_add_metrics(server, metrics);
	for (size_t b = 0; b < server->current->block_count; b++)
		block_add_metrics(server->current->blocks[b], metrics);
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
		  sum.queries[VIGIE_CHANNEL_UDP], sum.queries[VIGIE_CHANNEL_TCP], sum.dropped, sum.udp_unsent,
		  sum.tcp_accepted, sum.tcp_rejected, sum.tcp_evicted, sum.tcp_idle, sum.tcp_slow);
	if (refused == 0)
		return;
	vigie_log(VIGIE_LOG_INFO, NULL,
		  "Packets refused: %" PRIu64 " short, %" PRIu64 " response, %" PRIu64 " opcode, %" PRIu64
		  " qdcount, %" PRIu64 " format, %" PRIu64 " version",
		  sum.refused[VIGIE_GATE_SHORT], sum.refused[VIGIE_GATE_RESPONSE],
		  sum.refused[VIGIE_GATE_OPCODE], sum.refused[VIGIE_GATE_QDCOUNT],
		  sum.refused[VIGIE_GATE_FORMAT], sum.refused[VIGIE_GATE_VERSION]);
}

static void on_worker_ended(uv_async_t *async)
{
	struct vigie_server *server = async->data;

	if (atomic_load(&server->workers_ended) < server->worker_count)
		return;
	log_counters(server);
	generation_stop(server->current);
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
	server->process.reload = reload_changed;
	server->process.server = server;
	uv_timer_init(loop, &server->wait);
	uv_async_init(loop, &server->ended, on_worker_ended);
	server->wait.data = server;
	server->ended.data = server;
	server->handles = 2;
	reload_init(server);
	server->process.http = vigie_http_new(loop);
	server->process.keep = vigie_keep_new();
	if (!server->process.http || !server->process.keep)
		goto memory;
	server->current = generation_new(&server->process, corefile, NULL, error);
	if (!server->current)
		goto fail;
	return server;

memory:
	vigie_error_memory(error);
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
	vigie_thread_set(NULL, VIGIE_THREAD_CONTROL); /* not before: workers would inherit it */
}

/* Whether a cluster's state is among what is not ready. */
static bool lacks_cluster(struct vigie_server *server)
{
	struct vigie_buffer names;
	bool lacks;

	vigie_buffer_init(&names, 4096);
	all_ready(server, &names);
	lacks = vigie_buffer_append(&names, "", 1) || strstr((const char *)names.data, "kubernetes");
	vigie_buffer_fini(&names);
	return lacks;
}

static void on_wait(uv_timer_t *timer)
{
	struct vigie_server *server = timer->data;
	uint64_t now = vigie_clock_ms();

	if (all_ready(server, NULL)) {
		serve(server);
		return;
	}
	if (now - server->start_ms >= server->current->process.startup_ms) {
		if (lacks_cluster(server))
			vigie_log(VIGIE_LOG_WARNING, "kubernetes",
				  "starting server with unsynced Kubernetes API");
		serve(server);
		return;
	}
	if (lacks_cluster(server) && now >= server->log_ms) {
		vigie_log(VIGIE_LOG_INFO, "kubernetes", "waiting for Kubernetes API before starting server");
		server->log_ms = now + READY_LOG_AFTER_MS;
	}
}

unsigned server_workers(const struct vigie_process *process)
{
	unsigned asked = process->workers ? process->workers : process->sockets;

	return asked ? asked : cpus_allowed();
}

static enum vigie_status make_workers(struct vigie_server *server, struct vigie_error *error)
{
	const struct listeners *listeners = &server->current->listeners;
	unsigned count = server_workers(&server->current->process);

	server->current->process.workers = count;
	server->workers = calloc(count, sizeof(struct worker *));
	if (!server->workers)
		return vigie_error_memory(error);
	for (unsigned w = 0; w < count; w++) {
		server->workers[w] = worker_new(w);
		if (!server->workers[w])
			return vigie_error_memory(error);
		server->worker_count++;
		for (size_t i = 0; i < listeners->count; i++) {
			enum vigie_status status =
				worker_listen(server->workers[w], listeners->list[i], error);

			if (status)
				return status;
		}
	}
	return VIGIE_OK;
}

enum vigie_status vigie_server_start(struct vigie_server *server, struct vigie_error *error)
{
	enum vigie_status status = listeners_check(&server->current->listeners, error);

	vigie_log_set_level(server->current->process.debug ? VIGIE_LOG_DEBUG : VIGIE_LOG_INFO);
	if (!status)
		status = make_workers(server, error);
	if (!status)
		status = generation_start(server->current, error);
	if (!status)
		status = server_control_open(server, error);
	if (status)
		return status;
	vigie_log(VIGIE_LOG_INFO, "reload", "Running configuration SHA512 = %s", server->current->hash);
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
	server->done = done;
	server->done_argument = argument;
	reload_drain(server);
	generation_drain(server->current);
	uv_timer_start(&server->wait, on_lameduck_end,
		       server->serving ? server->current->process.lameduck_ms : 0, 0);
}

void vigie_server_print(const struct vigie_server *server)
{
	for (size_t b = 0; b < server->current->block_count; b++) {
		const struct vigie_server_block *source = server->current->blocks[b]->setup.source;

		for (size_t k = 0; k < source->key_count; k++) {
			char text[VIGIE_NAME_TEXT_MAX];

			vigie_log_plain("%s:%u", vigie_name_to_text(source->keys[k].zone.bytes, text),
					source->keys[k].port);
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
	server_control_close(server);
	reload_close(server, on_handle_closed);
	if (server->current)
		generation_stop(server->current);
	generation_free(server->current);
	vigie_keep_free(server->process.keep);
	if (server->process.http)
		vigie_http_close(server->process.http);
	uv_close((uv_handle_t *)&server->wait, on_handle_closed);
	uv_close((uv_handle_t *)&server->ended, on_handle_closed);
}

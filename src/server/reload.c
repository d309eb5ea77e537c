/* One configuration in the place of another, without a query lost: the next is made ready beside the one that
 * answers; each worker goes over to it between two callbacks; the old one ends when no worker has a request
 * under way in it. Sockets whose address stays are handed over as they are, with all that waits in them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "handover.h"
#include "state.h"
#include "vigie/buffer.h"
#include "vigie/clock.h"
#include "vigie/http.h"
#include "vigie/log.h"

static void begin(struct vigie_server *server, bool only_changed);

/* Tells who waits, and goes on with what was asked for meanwhile. */
static void finish(struct vigie_server *server)
{
	struct reload *reload = &server->reload;
	size_t count = reload->waiter_count;

	reload->waiter_count = 0;
	for (size_t i = 0; i < count; i++)
		reload->waiters[i].done(reload->waiters[i].argument, reload->error[0] ? reload->error : NULL);
	if (reload->again && !server->draining) {
		reload->again = false;
		begin(server, false);
	}
}

static void refuse(struct vigie_server *server, const struct vigie_error *error)
{
	struct reload *reload = &server->reload;

	snprintf(reload->error, sizeof(reload->error), "%s", error->text);
	reload->failed++;
	vigie_log(VIGIE_LOG_ERROR, "reload", "Corefile changed but reload failed: %s", error->text);
	finish(server);
}

/* The address that a listener of the current generation has, too. */
static const struct listener *find(const struct listeners *listeners, const struct listener *wanted)
{
	for (size_t i = 0; i < listeners->count; i++) {
		if (listener_same(listeners->list[i], wanted))
			return listeners->list[i];
	}
	return NULL;
}

/* Opens the sockets of addresses that are new, for each worker. */
static enum vigie_status open_new(struct vigie_server *server, struct generation *next,
				  struct handover *const *handovers, struct vigie_error *error)
{
	enum vigie_status status = VIGIE_OK;

	for (size_t i = 0; i < next->listeners.count && !status; i++) {
		const struct listener *listener = next->listeners.list[i];

		if (find(&server->current->listeners, listener))
			continue;
		status = listener_check(listener, error);
		for (unsigned w = 0; w < server->worker_count && !status; w++)
			status = handover_listen(handovers[w], listener, error);
	}
	return status;
}

static void free_handovers(struct vigie_server *server, struct handover **handovers)
{
	for (unsigned w = 0; handovers && w < server->worker_count; w++)
		handover_free(handovers[w]);
	free(handovers);
}

/* A worker is done with the old generation; in its thread. */
static void on_handed_over(void *argument)
{
	struct vigie_server *server = argument;

	atomic_fetch_add(&server->reload.workers_done, 1);
	uv_async_send(&server->reload.handed);
}

static void on_handed(uv_async_t *async)
{
	struct vigie_server *server = async->data;
	struct reload *reload = &server->reload;

	if (!reload->old || atomic_load(&reload->workers_done) < server->worker_count || server->draining)
		return;
	generation_stop(reload->old);
	generation_free(reload->old);
	reload->old = NULL;
	reload->error[0] = 0;
	reload->refused[0] = 0;
	reload->done++;
	vigie_log(VIGIE_LOG_INFO, "reload", "Running configuration SHA512 = %s", server->current->hash);
	vigie_log(VIGIE_LOG_INFO, NULL, "Reloading complete");
	finish(server);
}

/* The next generation is ready: all workers go over to it. */
static void hand_over(struct vigie_server *server)
{
	struct reload *reload = &server->reload;
	struct handover **handovers = calloc(server->worker_count, sizeof(struct handover *));
	struct vigie_error error;
	enum vigie_status status = handovers ? VIGIE_OK : VIGIE_ENOMEM;

	for (unsigned w = 0; w < server->worker_count && !status; w++) {
		handovers[w] = handover_new(&reload->next->listeners, &reload->next->process, on_handed_over,
					    server);
		status = handovers[w] ? VIGIE_OK : VIGIE_ENOMEM;
	}
	if (status)
		vigie_error_set(&error, status, "%s", vigie_status_text(status));
	else
		status = open_new(server, reload->next, handovers, &error);
	if (status) {
		free_handovers(server, handovers);
		strcpy(reload->refused, reload->next->hash);
		generation_stop(reload->next);
		generation_free(reload->next);
		reload->next = NULL;
		refuse(server, &error);
		return;
	}
	if (reload->next->process.debug != server->current->process.debug)
		vigie_log_set_level(reload->next->process.debug ? VIGIE_LOG_DEBUG : VIGIE_LOG_INFO);
	reload->old = server->current;
	server->current = reload->next;
	reload->next = NULL;
	atomic_store(&reload->workers_done, 0);
	vigie_http_show(server->process.http);
	if (server_control_open(server, &error))
		vigie_log(VIGIE_LOG_ERROR, "reload", "%s", error.text);
	for (unsigned w = 0; w < server->worker_count; w++)
		worker_hand_over(server->workers[w], handovers[w]);
	free(handovers);
}

/* A configuration that is not ready does not take the place of one that is. It may become so: the timer tries
 * it again. */
static void refuse_unready(struct vigie_server *server)
{
	struct reload *reload = &server->reload;
	struct vigie_buffer names;
	struct vigie_error error;

	vigie_buffer_init(&names, sizeof(error.text));
	generation_ready(reload->next, &names);
	vigie_error_set(&error, VIGIE_ETIMEOUT, "not ready in time: %.*s", (int)names.length,
			(const char *)names.data);
	vigie_buffer_fini(&names);
	generation_stop(reload->next);
	generation_free(reload->next);
	reload->next = NULL;
	reload->refused[0] = 0;
	refuse(server, &error);
}

static void on_wait(uv_timer_t *timer)
{
	struct vigie_server *server = timer->data;
	struct reload *reload = &server->reload;
	uint64_t startup_ms = reload->next->process.startup_ms;
	uint64_t patience_ms = startup_ms > RELOAD_READY_MS ? startup_ms : RELOAD_READY_MS;
	bool ready = generation_ready(reload->next, NULL);

	if (!ready && vigie_clock_ms() - reload->start_ms < patience_ms)
		return;
	uv_timer_stop(timer);
	if (ready || !generation_ready(server->current, NULL))
		hand_over(server);
	else
		refuse_unready(server);
}

/* Reads, sets up and starts the next generation. */
static enum vigie_status prepare(struct vigie_server *server, bool only_changed, struct vigie_error *error)
{
	struct reload *reload = &server->reload;
	struct vigie_arena *arena = vigie_arena_new();
	struct vigie_corefile corefile;
	struct generation *next;
	char hash[GENERATION_HASH_TEXT];
	enum vigie_status status;

	if (!arena)
		return vigie_error_memory(error);
	status = vigie_corefile_read(&corefile, arena, reload->path, reload->port, error);
	if (status) {
		vigie_arena_free(arena);
		return status;
	}
	generation_hash(&corefile, hash);
	if (only_changed &&
	    (strcmp(hash, server->current->hash) == 0 || strcmp(hash, reload->refused) == 0)) {
		vigie_arena_free(arena);
		return VIGIE_OK;
	}
	vigie_log(VIGIE_LOG_INFO, NULL, "Reloading");
	strcpy(reload->refused, hash); /* until it is taken */
	next = generation_new(&server->process, &corefile, arena, error);
	if (!next)
		return VIGIE_EINVAL;
	if (server_workers(&next->process) != server->worker_count)
		vigie_log(VIGIE_LOG_WARNING, "reload",
			  "%u workers go on, not %u: their number changes with a restart",
			  server->worker_count, server_workers(&next->process));
	next->process.workers = server->worker_count;
	vigie_http_begin(server->process.http);
	status = generation_start(next, error);
	if (status) {
		generation_free(next);
		return status;
	}
	reload->next = next;
	reload->start_ms = vigie_clock_ms();
	uv_timer_start(&reload->wait, on_wait, 0, READY_POLL_MS);
	return VIGIE_OK;
}

static void begin(struct vigie_server *server, bool only_changed)
{
	struct reload *reload = &server->reload;
	struct vigie_error error;
	enum vigie_status status = prepare(server, only_changed, &error);

	/* The timer tells of the same trouble once. */
	if (status && only_changed && strcmp(reload->error, error.text) == 0)
		return;
	if (status)
		refuse(server, &error);
	else if (!reload->next)
		finish(server);
}

void vigie_server_reload(struct vigie_server *server, bool only_changed, vigie_reload_done *done,
			 void *argument)
{
	struct reload *reload = &server->reload;
	bool busy = reload->next || reload->old || !server->serving;

	if (!reload->path || server->draining || (done && reload->waiter_count == RELOAD_WAITERS_MAX)) {
		if (done)
			done(argument, "no reload is possible now");
		return;
	}
	if (busy && only_changed)
		return; /* the timer comes again */
	if (done) {
		reload->waiters[reload->waiter_count].done = done;
		reload->waiters[reload->waiter_count++].argument = argument;
	}
	if (busy)
		reload->again = true;
	else
		begin(server, only_changed);
}

void reload_add_metrics(const struct vigie_server *server, struct vigie_metrics *metrics)
{
	char labels[GENERATION_HASH_TEXT + 64] = "";

	vigie_metrics_label(labels, sizeof(labels), "hash", "sha512");
	vigie_metrics_label(labels, sizeof(labels), "value", server->current->hash);
	vigie_metrics_add(metrics, "coredns_reload_version_info", VIGIE_GAUGE,
			  "Always 1; the label value is the hash of the configuration that runs.", labels, 1);
	vigie_metrics_add(metrics, "coredns_reload_failed_total", VIGIE_COUNTER,
			  "Configurations that were refused at a reload.", "", (double)server->reload.failed);
	vigie_metrics_add(metrics, "vigie_reloads_total", VIGIE_COUNTER,
			  "Configurations that were put in the place of another.", "",
			  (double)server->reload.done);
}

void vigie_server_set_source(struct vigie_server *server, const char *path, uint16_t port)
{
	server->reload.path = path;
	server->reload.port = port;
}

void reload_init(struct vigie_server *server)
{
	uv_timer_init(server->process.loop, &server->reload.wait);
	uv_async_init(server->process.loop, &server->reload.handed, on_handed);
	server->reload.wait.data = server->reload.handed.data = server;
	server->handles += 2;
}

void reload_drain(struct vigie_server *server)
{
	struct reload *reload = &server->reload;

	uv_timer_stop(&reload->wait);
	if (reload->next) {
		generation_stop(reload->next);
		generation_free(reload->next);
		reload->next = NULL;
	}
	if (reload->old)
		generation_drain(reload->old);
	if (reload->waiter_count > 0) {
		strcpy(reload->error, "the server ends");
		finish(server);
	}
}

void reload_close(struct vigie_server *server, uv_close_cb closed)
{
	struct reload *reload = &server->reload;

	if (reload->old) {
		generation_stop(reload->old);
		generation_free(reload->old);
	}
	uv_close((uv_handle_t *)&reload->wait, closed);
	uv_close((uv_handle_t *)&reload->handed, closed);
}

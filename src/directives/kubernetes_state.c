/* What the `kubernetes` directive tells people of its state, and the signal that has it look again. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <urcu-qsbr.h>

#include "kubernetes.h"
#include "vigie/buffer.h"
#include "vigie/clock.h"
#include "vigie/log.h"

struct kubernetes_signal {
	uv_signal_t handle;
	const struct kubernetes *kubernetes;
};

static void add_line(const struct kubernetes *kubernetes, enum vigie_kind kind, struct vigie_buffer *text)
{
	struct vigie_watch_state state;
	char line[512];
	int length;

	vigie_watcher_state(kubernetes->watcher, kind, &state);
	length = snprintf(line, sizeof(line), "kubernetes %s %s: %s", vigie_watcher_host(kubernetes->watcher),
			  vigie_kind_text(kind), state.synced ? "synced" : "not synced yet");
	if (state.last_seen_ms)
		length += snprintf(line + length, sizeof(line) - (size_t)length,
				   ", last heard of %" PRIu64 " s ago, at version %.64s, in %s",
				   (vigie_clock_ms() - state.last_seen_ms) / 1000, state.version,
				   state.proto ? "protobuf" : "JSON");
	if (state.trouble[0])
		length += snprintf(line + length, sizeof(line) - (size_t)length, ", %s", state.trouble);
	vigie_buffer_append(text, line, (size_t)length);
	vigie_buffer_append(text, "\n", 1);
}

void kubernetes_detail(void *instance, struct vigie_buffer *text)
{
	const struct kubernetes *kubernetes = instance;

	for (int kind = 0; kubernetes->watcher && kind < VIGIE_KINDS; kind++) {
		if (kubernetes->watch.kinds[kind])
			add_line(kubernetes, (enum vigie_kind)kind, text);
	}
}

static void on_signal(uv_signal_t *handle, int number)
{
	const struct kubernetes_signal *own = handle->data;
	const struct kubernetes *kubernetes = own->kubernetes;
	struct vigie_error error;

	vigie_log(VIGIE_LOG_INFO, "kubernetes", "SIGUSR2: everything is listed anew");
	if (kubernetes->watcher) {
		vigie_watcher_resync(kubernetes->watcher);
		return;
	}
	rcu_thread_online();
	if (vigie_snapshot_load(kubernetes->snapshot, &kubernetes->watch, kubernetes->cluster, &error))
		vigie_log(VIGIE_LOG_ERROR, "kubernetes", "%s", error.text);
	rcu_thread_offline();
}

enum vigie_status kubernetes_signal_start(struct kubernetes *kubernetes, uv_loop_t *loop)
{
	struct kubernetes_signal *own = calloc(1, sizeof(*own));

	if (!own)
		return VIGIE_ENOMEM;
	own->kubernetes = kubernetes;
	own->handle.data = own;
	if (uv_signal_init(loop, &own->handle)) {
		free(own);
		return VIGIE_ENOMEM;
	}
	kubernetes->signal = own;
	uv_signal_start(&own->handle, on_signal, SIGUSR2);
	return VIGIE_OK;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void kubernetes_signal_stop(struct kubernetes *kubernetes)
{
	if (kubernetes->signal)
		uv_close((uv_handle_t *)&kubernetes->signal->handle, on_closed);
	kubernetes->signal = NULL;
}

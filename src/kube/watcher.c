/* The watcher's thread: one reflector for each kind, over one client. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>
#include <uv.h>

#include "client.h"
#include "reflector.h"
#include "vigie/clock.h"
#include "vigie/log.h"
#include "vigie/random.h"

enum {
	PATH_MAX_BYTES = 8192, /* of a request's path and query */
	TICK_MS = 1000,        /* how often streams are looked at */
	START_JITTER_MS = 50,  /* replicas that restart together do not ask in the same millisecond */
	BURST_DEFAULT = 10
};

static const double qps_default = 5;

struct stream {
	struct vigie_watcher *watcher;
	struct reflector reflector;
	struct client_request *request; /* NULL: none is under way */
	uint64_t due_ms;                /* when the next may be made */
	bool wanted;                    /* the kind is watched */
};

struct vigie_watcher {
	uv_loop_t loop;
	uv_thread_t thread;
	uv_async_t stop;
	uv_timer_t timer; /* the next thing to do */
	struct client *client;
	struct vigie_cluster *cluster;
	struct stream streams[VIGIE_KINDS];
	char *selector; /* URL-escaped; owned */
	char *namespace_selector;
	double qps;
	double burst;
	double tokens; /* requests that may be made now */
	uint64_t tokens_ms;
	unsigned max_inflight;
	bool stopping;
	pthread_mutex_t lock; /* of `states`, which other threads read */
	struct vigie_watch_state states[VIGIE_KINDS];
};

/* Services first: the other kinds mean nothing without them. */
static const enum vigie_kind order[VIGIE_KINDS] = {VIGIE_KIND_SERVICE, VIGIE_KIND_NAMESPACE, VIGIE_KIND_SLICE,
						   VIGIE_KIND_POD};

static void plan(struct vigie_watcher *watcher);
static void on_timer(uv_timer_t *timer);

static void publish_state(struct stream *stream)
{
	struct vigie_watcher *watcher = stream->watcher;
	const struct reflector *reflector = &stream->reflector;
	struct vigie_watch_state *state = &watcher->states[reflector->kind];

	pthread_mutex_lock(&watcher->lock);
	state->synced = reflector->synced;
	state->last_seen_ms = reflector->last_seen_ms;
	state->lists = reflector->lists;
	state->watches = reflector->watches;
	state->events = reflector->events;
	state->bad_objects = reflector->bad_objects;
	memcpy(state->version, reflector->version, sizeof(state->version));
	memcpy(state->trouble, reflector->trouble, sizeof(state->trouble));
	pthread_mutex_unlock(&watcher->lock);
}

/* Every change to the table happens in here; the thread is offline for RCU otherwise. */
static bool on_data(void *argument, const char *bytes, size_t length)
{
	struct stream *stream = argument;
	bool listing = reflector_is_listing(&stream->reflector);
	bool good;

	rcu_thread_online();
	good = reflector_data(&stream->reflector, bytes, length);
	vigie_cluster_publish(stream->watcher->cluster);
	rcu_thread_offline();
	publish_state(stream);
	if (listing && !reflector_is_listing(&stream->reflector) && !stream->watcher->stopping)
		/* The next kind's turn to list; not from here, which is inside of curl. */
		uv_timer_start(&stream->watcher->timer, on_timer, 0, 0);
	return good;
}

static void end(struct stream *stream, const struct client_result *result)
{
	struct vigie_watcher *watcher = stream->watcher;
	bool refresh_token;

	stream->request = NULL;
	rcu_thread_online();
	stream->due_ms = vigie_clock_ms() + reflector_end(&stream->reflector, result, &refresh_token);
	rcu_thread_offline();
	if (refresh_token)
		client_refresh_token(watcher->client);
	publish_state(stream);
	plan(watcher);
}

static void on_done(void *argument, const struct client_result *result)
{
	end(argument, result);
}

/* The token bucket of apiserver_qps and apiserver_burst. Returns how long to wait for a token, 0 when one was
 * taken. */
static uint64_t take_token(struct vigie_watcher *watcher, uint64_t now)
{
	watcher->tokens += (double)(now - watcher->tokens_ms) * watcher->qps / 1000;
	watcher->tokens_ms = now;
	if (watcher->tokens > watcher->burst)
		watcher->tokens = watcher->burst;
	if (watcher->tokens < 1)
		return (uint64_t)((1 - watcher->tokens) * 1000 / watcher->qps) + 1;
	watcher->tokens -= 1;
	return 0;
}

static void begin(struct stream *stream)
{
	struct vigie_watcher *watcher = stream->watcher;
	static const struct client_result no_memory = {.trouble = "out of memory", .body = ""};
	char path[PATH_MAX_BYTES];

	rcu_thread_online();
	reflector_begin(&stream->reflector, path, sizeof(path));
	rcu_thread_offline();
	stream->request = client_get(watcher->client, path, on_data, on_done, stream);
	publish_state(stream);
	if (!stream->request)
		end(stream, &no_memory);
}

/* Whether a stream has to wait for others: one list at a time, max_inflight requests in all. */
static bool must_wait(const struct vigie_watcher *watcher, const struct stream *stream)
{
	unsigned inflight = 0;
	bool listing = false;

	for (int kind = 0; kind < VIGIE_KINDS; kind++) {
		const struct stream *other = &watcher->streams[kind];

		if (!other->request)
			continue;
		inflight++;
		listing = listing || reflector_is_listing(&other->reflector);
	}
	return (listing && reflector_wants_list(&stream->reflector)) ||
	       (watcher->max_inflight > 0 && inflight >= watcher->max_inflight);
}

/* Makes the requests that are due, and sets the timer for the next thing to do. */
static void plan(struct vigie_watcher *watcher)
{
	uint64_t now = vigie_clock_ms();
	uint64_t next = now + TICK_MS;

	if (watcher->stopping)
		return;
	for (int i = 0; i < VIGIE_KINDS; i++) {
		struct stream *stream = &watcher->streams[order[i]];
		uint64_t wait;

		if (!stream->wanted || stream->request || must_wait(watcher, stream))
			continue;
		wait = stream->due_ms > now ? stream->due_ms - now : take_token(watcher, now);
		if (wait > 0) {
			next = now + wait < next ? now + wait : next;
			continue;
		}
		begin(stream);
	}
	uv_timer_start(&watcher->timer, on_timer, next - now, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct vigie_watcher *watcher = timer->data;
	static const struct client_result silence = {
		.status = 200, .trouble = "the stream was silent for too long", .body = ""};
	uint64_t now = vigie_clock_ms();

	for (int kind = 0; kind < VIGIE_KINDS; kind++) {
		struct stream *stream = &watcher->streams[kind];

		if (!stream->request || !reflector_is_silent(&stream->reflector, now))
			continue;
		client_cancel(stream->request);
		end(stream, &silence);
	}
	plan(watcher);
}

static void on_stop(uv_async_t *async)
{
	struct vigie_watcher *watcher = async->data;

	watcher->stopping = true;
	for (int kind = 0; kind < VIGIE_KINDS; kind++) {
		if (watcher->streams[kind].request)
			client_cancel(watcher->streams[kind].request);
	}
	client_close(watcher->client);
	uv_close((uv_handle_t *)&watcher->timer, NULL);
	uv_close((uv_handle_t *)&watcher->stop, NULL);
}

static void run(void *argument)
{
	struct vigie_watcher *watcher = argument;

	rcu_register_thread();
	rcu_thread_offline();
	uv_run(&watcher->loop, UV_RUN_DEFAULT);
	rcu_unregister_thread();
}

/* A label selector as a query takes it; VIGIE_ENOMEM. NULL stays NULL. */
static enum vigie_status escape(char **escaped, const char *text)
{
	char *copy;

	if (!text)
		return VIGIE_OK;
	copy = curl_easy_escape(NULL, text, 0);
	if (!copy)
		return VIGIE_ENOMEM;
	*escaped = strdup(copy);
	curl_free(copy);
	return *escaped ? VIGIE_OK : VIGIE_ENOMEM;
}

static enum vigie_status init_streams(struct vigie_watcher *watcher,
				      const struct vigie_watch_options *options)
{
	uint64_t start = vigie_clock_ms() + vigie_random_below(START_JITTER_MS);

	for (int kind = 0; kind < VIGIE_KINDS; kind++) {
		struct stream *stream = &watcher->streams[kind];
		enum vigie_status status = reflector_init(
			&stream->reflector, (enum vigie_kind)kind, watcher->cluster,
			kind == VIGIE_KIND_NAMESPACE ? watcher->namespace_selector : watcher->selector);

		if (status)
			return status;
		stream->watcher = watcher;
		stream->wanted = options->kinds[kind];
		stream->due_ms = start;
	}
	return VIGIE_OK;
}

static void watcher_free(struct vigie_watcher *watcher)
{
	for (int kind = 0; kind < VIGIE_KINDS; kind++)
		reflector_fini(&watcher->streams[kind].reflector);
	pthread_mutex_destroy(&watcher->lock);
	free(watcher->selector);
	free(watcher->namespace_selector);
	free(watcher);
}

static void init_bucket(struct vigie_watcher *watcher, const struct vigie_watch_options *options)
{
	watcher->qps = options->qps > 0 ? options->qps : qps_default;
	watcher->burst = options->burst > 0 ? options->burst : BURST_DEFAULT;
	watcher->tokens = watcher->burst;
	watcher->tokens_ms = vigie_clock_ms();
	watcher->max_inflight = options->max_inflight;
}

struct vigie_watcher *vigie_watcher_start(struct vigie_kube_config *config,
					  const struct vigie_watch_options *options,
					  struct vigie_cluster *cluster, struct vigie_error *error)
{
	struct vigie_watcher *watcher = calloc(1, sizeof(*watcher));

	if (!watcher || uv_loop_init(&watcher->loop)) {
		free(watcher);
		vigie_kube_config_fini(config);
		vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
		return NULL;
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	pthread_mutex_init(&watcher->lock, NULL);
	watcher->cluster = cluster;
	init_bucket(watcher, options);
	uv_timer_init(&watcher->loop, &watcher->timer);
	uv_async_init(&watcher->loop, &watcher->stop, on_stop);
	watcher->timer.data = watcher->stop.data = watcher;
	watcher->client = client_new(&watcher->loop, config);
	if (!watcher->client || escape(&watcher->selector, options->selector) ||
	    escape(&watcher->namespace_selector, options->namespace_selector) ||
	    init_streams(watcher, options))
		goto fail;
	uv_timer_start(&watcher->timer, on_timer, 0, 0);
	if (uv_thread_create(&watcher->thread, run, watcher) == 0)
		return watcher;

fail:
	vigie_error_set(error, VIGIE_ENOMEM, "the watcher cannot start: %s", vigie_status_text(VIGIE_ENOMEM));
	vigie_kube_config_fini(config);
	if (watcher->client)
		client_close(watcher->client);
	uv_close((uv_handle_t *)&watcher->timer, NULL);
	uv_close((uv_handle_t *)&watcher->stop, NULL);
	uv_run(&watcher->loop, UV_RUN_DEFAULT);
	uv_loop_close(&watcher->loop);
	watcher_free(watcher);
	return NULL;
}

void vigie_watcher_stop(struct vigie_watcher *watcher)
{
	uv_async_send(&watcher->stop);
	uv_thread_join(&watcher->thread);
	uv_loop_close(&watcher->loop);
	watcher_free(watcher);
}

void vigie_watcher_state(struct vigie_watcher *watcher, enum vigie_kind kind, struct vigie_watch_state *state)
{
	pthread_mutex_lock(&watcher->lock);
	*state = watcher->states[kind];
	pthread_mutex_unlock(&watcher->lock);
}

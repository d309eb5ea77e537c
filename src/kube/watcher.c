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
#include "requests.h"
#include "warm.h"
#include "vigie/clock.h"
#include "vigie/log.h"
#include "vigie/random.h"
#include "vigie/thread.h"

enum {
	PATH_MAX_BYTES = 8192, /* of a request's path and query */
	TICK_MS = 1000,        /* how often streams are looked at */
	START_JITTER_MS = 50,  /* replicas that restart together do not ask in the same millisecond */
	BURST_DEFAULT = 10,
	WARM_MS = 60000,       /* between two writings of the warm file, at least */
	WARM_SPREAD_MS = 10000 /* and by chance so much more */
};

static const double qps_default = 5;
static const uint64_t silence_default_ms = 90000; /* bookmarks come each minute: such a stream is dead */

struct stream {
	struct vigie_watcher *watcher;
	struct reflector reflector;
	struct client_request *request; /* NULL: none is under way */
	uint64_t due_ms;                /* when the next may be made */
	uint64_t waits_ms;              /* since when it waits for a token; 0: it does not */
	bool wanted;                    /* the kind is watched */
};

struct vigie_watcher {
	uv_loop_t loop;
	uv_thread_t thread;
	uv_async_t stop;
	uv_async_t resync;
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
	uint64_t silence_ms;
	uint64_t publish_ms; /* when what publication has put off is due; 0: nothing */
	char *warm;          /* path, owned; NULL: none is written */
	uint8_t warm_owner[VIGIE_WARM_OWNER];
	uint64_t warm_ms;                  /* when the warm file may be written next */
	uint64_t warm_changes;             /* of the table as it was written last */
	struct vigie_state_out *warm_file; /* written and not committed */
	uv_work_t warm_work;
	bool warm_busy; /* the file is on its way to the disk */
	bool stopping;
	char host[256];
	pthread_mutex_t lock; /* of what other threads read, below */
	struct vigie_watch_state states[VIGIE_KINDS];
	struct vigie_watch_requests requests;
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
	state->proto = reflector->proto;
	state->last_seen_ms = reflector->last_seen_ms;
	state->lists = reflector->lists;
	state->watches = reflector->watches;
	state->events = reflector->events;
	state->bad_objects = reflector->bad_objects;
	memcpy(state->version, reflector->version, sizeof(state->version));
	memcpy(state->trouble, reflector->trouble, sizeof(state->trouble));
	pthread_mutex_unlock(&watcher->lock);
}

/* Has the timer fire in `ms`, unless it will do so earlier. */
static void wake_in(struct vigie_watcher *watcher, uint64_t ms)
{
	uv_handle_t *timer = (uv_handle_t *)&watcher->timer;

	if (!watcher->stopping && (!uv_is_active(timer) || uv_timer_get_due_in(&watcher->timer) > ms))
		uv_timer_start(&watcher->timer, on_timer, ms, 0);
}

/* The thread is online for RCU. */
static void publish(struct vigie_watcher *watcher)
{
	uint64_t wait = vigie_cluster_publish(watcher->cluster);

	watcher->publish_ms = wait ? vigie_clock_ms() + wait : 0;
	if (wait)
		wake_in(watcher, wait);
}

/* Every change to the table happens in here; the thread is offline for RCU otherwise. */
static void count_list(const struct stream *stream)
{
	struct vigie_watcher *watcher = stream->watcher;

	pthread_mutex_lock(&watcher->lock);
	requests_time(&watcher->requests.lists, vigie_clock_ms() - stream->reflector.began_ms);
	pthread_mutex_unlock(&watcher->lock);
}

static bool on_data(void *argument, const char *bytes, size_t length)
{
	struct stream *stream = argument;
	bool listing = reflector_is_listing(&stream->reflector);
	bool good;

	rcu_thread_online();
	good = reflector_data(&stream->reflector, client_is_proto(stream->request), bytes, length);
	publish(stream->watcher);
	rcu_thread_offline();
	publish_state(stream);
	if (listing && !reflector_is_listing(&stream->reflector)) {
		count_list(stream);
		/* The next kind's turn to list; not from here, which is inside of curl. */
		wake_in(stream->watcher, 0);
	}
	return good;
}

/* The next request is made by `plan`. */
static void end(struct stream *stream, const struct client_result *result)
{
	struct vigie_watcher *watcher = stream->watcher;
	bool refresh_token;

	stream->request = NULL;
	if (stream->reflector.request == REFLECTOR_LIST)
		count_list(stream);
	pthread_mutex_lock(&watcher->lock);
	requests_count(&watcher->requests, result->status);
	pthread_mutex_unlock(&watcher->lock);
	rcu_thread_online();
	stream->due_ms = vigie_clock_ms() + reflector_end(&stream->reflector, result, &refresh_token);
	rcu_thread_offline();
	if (refresh_token)
		client_refresh_token(watcher->client);
	publish_state(stream);
}

static void on_done(void *argument, const struct client_result *result)
{
	struct stream *stream = argument;

	end(stream, result);
	plan(stream->watcher);
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

static void begin(struct stream *stream, uint64_t now)
{
	struct vigie_watcher *watcher = stream->watcher;
	static const struct client_result no_memory = {.trouble = "out of memory", .body = ""};
	char path[PATH_MAX_BYTES];

	pthread_mutex_lock(&watcher->lock);
	requests_time(&watcher->requests.limits, stream->waits_ms ? now - stream->waits_ms : 0);
	pthread_mutex_unlock(&watcher->lock);
	stream->waits_ms = 0;
	rcu_thread_online();
	reflector_begin(&stream->reflector, path, sizeof(path));
	rcu_thread_offline();
	stream->request = client_get(watcher->client, path, reflector_accept(&stream->reflector), on_data,
				     on_done, stream);
	publish_state(stream);
	if (!stream->request)
		end(stream, &no_memory);
}

/* Whether a stream has to wait for others: one list at a time, max_inflight requests in all. A watch is in
 * flight until the server answers it, as of CoreDNS: else none would be left for other kinds. */
static bool must_wait(const struct vigie_watcher *watcher, const struct stream *stream)
{
	unsigned inflight = 0;
	bool listing = false;

	for (int kind = 0; kind < VIGIE_KINDS; kind++) {
		const struct stream *other = &watcher->streams[kind];

		if (!other->request)
			continue;
		listing = listing || reflector_is_listing(&other->reflector);
		inflight += reflector_is_listing(&other->reflector) || !client_is_answered(other->request);
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
	if (watcher->publish_ms && watcher->publish_ms < next)
		next = watcher->publish_ms > now ? watcher->publish_ms : now;
	for (int i = 0; i < VIGIE_KINDS; i++) {
		struct stream *stream = &watcher->streams[order[i]];
		uint64_t wait;

		if (!stream->wanted || stream->request || must_wait(watcher, stream))
			continue;
		wait = stream->due_ms > now ? stream->due_ms - now : take_token(watcher, now);
		if (wait > 0) {
			if (stream->due_ms <= now && stream->waits_ms == 0)
				stream->waits_ms = now;
			next = now + wait < next ? now + wait : next;
			continue;
		}
		begin(stream, now);
	}
	uv_timer_start(&watcher->timer, on_timer, next - now, 0);
}

static void commit_warm(struct vigie_watcher *watcher)
{
	struct vigie_error error;

	if (vigie_state_commit(watcher->warm_file, &error))
		vigie_log(VIGIE_LOG_WARNING, "kubernetes", "%s", error.text);
}

static void on_warm_work(uv_work_t *work)
{
	vigie_thread_set(NULL, VIGIE_THREAD_BACKGROUND);
	commit_warm(work->data);
}

static void on_warm_done(uv_work_t *work, int status)
{
	struct vigie_watcher *watcher = work->data;

	watcher->warm_busy = false;
}

/* Writes the table as it is, when it is whole and not what was written last. */
static bool write_warm(struct vigie_watcher *watcher)
{
	struct vigie_error error;

	for (int kind = 0; kind < VIGIE_KINDS; kind++) {
		if (watcher->streams[kind].wanted && !watcher->streams[kind].reflector.synced)
			return false;
	}
	if (!watcher->warm || watcher->warm_changes == vigie_cluster_changes(watcher->cluster))
		return false;
	rcu_thread_online();
	watcher->warm_changes = vigie_cluster_changes(watcher->cluster);
	watcher->warm_file = warm_write(watcher->warm, watcher->warm_owner, watcher->cluster, &error);
	rcu_thread_offline();
	if (!watcher->warm_file)
		vigie_log(VIGIE_LOG_WARNING, "kubernetes", "%s", error.text);
	return watcher->warm_file != NULL;
}

/* The disk may take its time: another thread waits for it. */
static void keep_warm(struct vigie_watcher *watcher, uint64_t now)
{
	if (watcher->warm_busy || now < watcher->warm_ms || watcher->stopping || !write_warm(watcher))
		return;
	watcher->warm_ms = now + WARM_MS + vigie_random_below(WARM_SPREAD_MS);
	watcher->warm_busy = true;
	watcher->warm_work.data = watcher;
	if (uv_queue_work(&watcher->loop, &watcher->warm_work, on_warm_work, on_warm_done)) {
		watcher->warm_busy = false;
		commit_warm(watcher);
	}
}

static void cancel_all(struct vigie_watcher *watcher)
{
	for (int kind = 0; kind < VIGIE_KINDS; kind++) {
		struct stream *stream = &watcher->streams[kind];

		if (stream->request)
			client_cancel(stream->request);
		stream->request = NULL;
	}
}

/* Ends the streams that said nothing for too long. One that shares its connection (HTTP/2) takes all others
 * with it: whether the connection or the stream is dead cannot be told, and the others go on where they are.
 */
static void replace_silent(struct vigie_watcher *watcher, uint64_t now)
{
	static const struct client_result silence = {
		.status = 200, .trouble = "the stream was silent for too long", .body = ""};
	struct stream *silent[VIGIE_KINDS];
	size_t count = 0;
	bool shared = false;

	for (int kind = 0; kind < VIGIE_KINDS; kind++) {
		struct stream *stream = &watcher->streams[kind];

		if (!stream->request || reflector_silence_ms(&stream->reflector, now) <= watcher->silence_ms)
			continue;
		shared = shared || client_is_shared(stream->request);
		client_cancel(stream->request);
		stream->request = NULL;
		silent[count++] = stream;
	}
	if (shared) {
		cancel_all(watcher);
		client_disconnect(watcher->client);
	}
	for (size_t i = 0; i < count; i++)
		end(silent[i], &silence);
}

static void on_timer(uv_timer_t *timer)
{
	struct vigie_watcher *watcher = timer->data;
	uint64_t now = vigie_clock_ms();

	keep_warm(watcher, now);
	rcu_thread_online();
	if (watcher->publish_ms && watcher->publish_ms <= now)
		publish(watcher);
	vigie_cluster_rest(watcher->cluster);
	rcu_thread_offline();
	replace_silent(watcher, now);
	plan(watcher);
}

static void on_stop(uv_async_t *async)
{
	struct vigie_watcher *watcher = async->data;

	watcher->stopping = true;
	cancel_all(watcher);
	client_close(watcher->client);
	uv_close((uv_handle_t *)&watcher->timer, NULL);
	uv_close((uv_handle_t *)&watcher->stop, NULL);
	uv_close((uv_handle_t *)&watcher->resync, NULL);
}

static void on_resync(uv_async_t *async)
{
	struct vigie_watcher *watcher = async->data;

	if (watcher->stopping)
		return;
	cancel_all(watcher);
	for (int kind = 0; kind < VIGIE_KINDS; kind++) {
		struct stream *stream = &watcher->streams[kind];

		stream->due_ms = 0;
		reflector_resync(&stream->reflector);
	}
	plan(watcher);
}

static void run(void *argument)
{
	struct vigie_watcher *watcher = argument;

	vigie_thread_set("watcher", VIGIE_THREAD_CONTROL);
	rcu_register_thread();
	rcu_thread_offline();
	uv_run(&watcher->loop, UV_RUN_DEFAULT);
	if (write_warm(watcher))
		commit_warm(watcher);
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
	free(watcher->warm);
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

/* The server's URL without its scheme and path. */
static void name_host(struct vigie_watcher *watcher, const struct vigie_kube_config *config)
{
	const char *host = strstr(config->server, "://");

	host = host ? host + 3 : config->server;
	snprintf(watcher->host, sizeof(watcher->host), "%.*s", (int)strcspn(host, "/"), host);
}

struct vigie_watcher *vigie_watcher_start(struct vigie_kube_config *config,
					  const struct vigie_watch_options *options,
					  struct vigie_cluster *cluster, struct vigie_error *error)
{
	struct vigie_watcher *watcher = calloc(1, sizeof(*watcher));

	if (!watcher || uv_loop_init(&watcher->loop)) {
		free(watcher);
		vigie_kube_config_fini(config);
		vigie_error_memory(error);
		return NULL;
	}
	pthread_mutex_init(&watcher->lock, NULL);
	watcher->cluster = cluster;
	watcher->warm_changes = vigie_cluster_changes(cluster); /* what was read from a warm file is in it */
	memcpy(watcher->warm_owner, options->warm_owner, sizeof(watcher->warm_owner));
	init_bucket(watcher, options);
	uv_timer_init(&watcher->loop, &watcher->timer);
	uv_async_init(&watcher->loop, &watcher->stop, on_stop);
	uv_async_init(&watcher->loop, &watcher->resync, on_resync);
	watcher->timer.data = watcher->stop.data = watcher->resync.data = watcher;
	watcher->silence_ms = options->silence_ms ? options->silence_ms : silence_default_ms;
	name_host(watcher, config);
	watcher->client = client_new(&watcher->loop, config);
	if (options->warm)
		watcher->warm = strdup(options->warm);
	if (!watcher->client || !watcher->warm != !options->warm ||
	    escape(&watcher->selector, options->selector) ||
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
	uv_close((uv_handle_t *)&watcher->resync, NULL);
	uv_run(&watcher->loop, UV_RUN_DEFAULT);
	uv_loop_close(&watcher->loop);
	watcher_free(watcher);
	return NULL;
}

void vigie_watcher_stop(struct vigie_watcher *watcher)
{
	bool online = rcu_read_ongoing();

	uv_async_send(&watcher->stop);
	rcu_thread_offline(); /* the thread may be waiting for all readers */
	uv_thread_join(&watcher->thread);
	if (online)
		rcu_thread_online();
	uv_loop_close(&watcher->loop);
	watcher_free(watcher);
}

void vigie_watcher_state(struct vigie_watcher *watcher, enum vigie_kind kind, struct vigie_watch_state *state)
{
	pthread_mutex_lock(&watcher->lock);
	*state = watcher->states[kind];
	pthread_mutex_unlock(&watcher->lock);
}

void vigie_watcher_requests(struct vigie_watcher *watcher, struct vigie_watch_requests *requests)
{
	pthread_mutex_lock(&watcher->lock);
	*requests = watcher->requests;
	pthread_mutex_unlock(&watcher->lock);
}

const char *vigie_watcher_host(const struct vigie_watcher *watcher)
{
	return watcher->host;
}

void vigie_watcher_resync(struct vigie_watcher *watcher)
{
	uv_async_send(&watcher->resync);
}

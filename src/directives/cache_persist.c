/* `persist` of `cache`: what is held outlives the process. */
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>
#include <uv.h>

#include "cache.h"
#include "vigie/keep.h"
#include "vigie/log.h"
#include "vigie/thread.h"

struct cache_saver {
	char *path;
	uv_timer_t timer;
	uv_work_t work;
	uv_mutex_t lock;           /* held while it is saved */
	struct vigie_cache *store; /* NULL: stopped */
	uint64_t changes;          /* that there had been when it was saved last */
	bool working;              /* a thread of the pool saves, or is to; the main thread's, as below */
	bool closed;               /* the loop let go of the timer */
};

static void free_if_idle(struct cache_saver *saver)
{
	if (saver->working || !saver->closed)
		return;
	uv_mutex_destroy(&saver->lock);
	free(saver->path);
	free(saver);
}

/* Unless nothing has changed since it was saved last. With the lock. */
static void save(struct cache_saver *saver)
{
	uint64_t changes = vigie_cache_changes(saver->store);
	struct vigie_error error;

	if (changes == saver->changes)
		return;
	if (vigie_cache_save(saver->store, saver->path, &error))
		vigie_log(VIGIE_LOG_WARNING, "cache", "%s", error.text);
	else
		saver->changes = changes;
}

/* In a thread of libuv's pool. */
static void on_work(uv_work_t *work)
{
	struct cache_saver *saver = work->data;

	vigie_thread_set(NULL, VIGIE_THREAD_BACKGROUND);
	uv_mutex_lock(&saver->lock);
	if (saver->store)
		save(saver);
	uv_mutex_unlock(&saver->lock);
}

static void on_worked(uv_work_t *work, int cancelled)
{
	struct cache_saver *saver = work->data;

	saver->working = false;
	free_if_idle(saver);
}

static void on_timer(uv_timer_t *timer)
{
	struct cache_saver *saver = timer->data;

	if (!saver->working)
		saver->working = uv_queue_work(timer->loop, &saver->work, on_work, on_worked) == 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct cache_saver *saver = handle->data;

	saver->closed = true;
	free_if_idle(saver);
}

/* The last configuration lets go: nobody stores any more. A saving that is under way is waited for. */
static void release(void *object)
{
	struct cache_saver *saver = object;
	struct vigie_cache *store = saver->store;

	uv_mutex_lock(&saver->lock);
	save(saver);
	saver->store = NULL;
	uv_mutex_unlock(&saver->lock);
	vigie_cache_release(store);
	uv_close((uv_handle_t *)&saver->timer, on_closed);
}

static void load(struct cache_saver *saver)
{
	struct vigie_error error;
	enum vigie_status status;
	size_t count;
	bool online = rcu_read_ongoing();

	if (!online)
		rcu_thread_online();
	status = vigie_cache_load(saver->store, saver->path, &count, &error);
	if (!online)
		rcu_thread_offline();
	if (status)
		vigie_log(VIGIE_LOG_WARNING, "cache", "%s", error.text);
	else
		vigie_log(VIGIE_LOG_INFO, "cache", "%zu answers from the cache file '%s'", count,
			  saver->path);
}

static struct cache_saver *make(const struct cache *cache)
{
	struct vigie_process *process = cache->process;
	struct cache_saver *saver = calloc(1, sizeof(*saver));

	if (!saver)
		return NULL;
	saver->path = strdup(process->cache_persist);
	if (!saver->path || uv_mutex_init(&saver->lock)) {
		free(saver->path);
		free(saver);
		return NULL;
	}
	saver->timer.data = saver;
	saver->work.data = saver;
	uv_timer_init(process->loop, &saver->timer);
	saver->store = vigie_cache_acquire(0); /* the one that `cache` holds already */
	if (vigie_keep_put(process->keep, "cache", saver->path, saver, release)) {
		vigie_cache_release(saver->store);
		uv_close((uv_handle_t *)&saver->timer, on_closed);
		return NULL;
	}
	load(saver);
	return saver;
}

enum vigie_status cache_persist_start(struct cache *cache, struct vigie_error *error)
{
	struct vigie_process *process = cache->process;
	struct cache_saver *saver;

	if (!process->cache_persist)
		return VIGIE_OK;
	saver = vigie_keep_get(process->keep, "cache", process->cache_persist);
	if (!saver)
		saver = make(cache);
	if (!saver)
		return vigie_error_memory(error);
	cache->saver = saver;
	uv_timer_start(&saver->timer, on_timer, process->cache_persist_ms, process->cache_persist_ms);
	return VIGIE_OK;
}

void cache_persist_stop(struct cache *cache)
{
	if (cache->saver)
		vigie_keep_release(cache->process->keep, cache->saver);
	cache->saver = NULL;
}

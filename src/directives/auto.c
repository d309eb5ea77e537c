/* `auto [ZONE…] { directory DIR [REGEXP ORIGIN]; reload DURATION }`: a zone for each master file of a folder.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <urcu-qsbr.h>

#include "auto_scan.h"
#include "directives.h"
#include "static_zone.h"
#include "transfer.h"
#include "vigie/log.h"
#include "vigie/thread.h"

enum {
	RELOAD_MS = 60000 /* how often the folder is looked at unless `reload` says otherwise */
};

struct automatic {
	struct vigie_block *block;
	struct zones zones; /* for which it answers at all */
	struct auto_folder folder;
	uint64_t reload_ms;       /* 0: never again */
	struct auto_table *table; /* atomic (RCU) */
	struct watch *watch;      /* NULL: not started, or never again */
};

/* The part of it that the loop and a thread of its pool hold on to. */
struct watch {
	struct automatic *automatic; /* NULL: stopped; the main thread's, and the scan's under `lock` */
	uv_mutex_t lock;             /* held by a scan */
	uv_timer_t timer;
	uv_work_t work;
	bool working;
	bool closed;
};

static enum vigie_status read_directory(struct automatic *automatic, const struct vigie_statement *option,
					struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_args(option, 1, 3, error);
	const struct vigie_word *args = option->args;
	struct stat folder;

	if (status)
		return status;
	automatic->folder.path = vigie_block_path(automatic->block, args[0].text);
	if (!automatic->folder.path)
		return vigie_error_memory(error);
	if (stat(automatic->folder.path, &folder) == 0 && !S_ISDIR(folder.st_mode))
		return vigie_word_error(error, &args[0], "'%s' is no folder", args[0].text);
	if (stat(automatic->folder.path, &folder))
		vigie_log(VIGIE_LOG_WARNING, "auto", "%s:%u: '%s': %s", args[0].file, args[0].line,
			  args[0].text, strerror(errno));
	if (option->arg_count == 1)
		return VIGIE_OK;
	automatic->folder.pattern = regex_new(automatic->block->arena, &args[1], error);
	if (!automatic->folder.pattern)
		return VIGIE_EINVAL;
	if (regex_group_count(automatic->folder.pattern) == 0)
		return vigie_word_error(error, &args[1],
					"'%s' has no group, such as (.*), that says the zone", args[1].text);
	if (option->arg_count == 2)
		return vigie_word_error(error, &args[1], "'%s' needs the zone's name behind it, such as {1}",
					args[1].text);
	automatic->folder.origin = args[2].text;
	return regex_check_fill(automatic->folder.pattern, &args[2], error);
}

static enum vigie_status read_option(struct automatic *automatic, const struct vigie_statement *statement,
				     const struct vigie_statement *option, struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_plain(option, error);

	if (status)
		return status;
	if (strcmp(option->name.text, "directory") == 0)
		return read_directory(automatic, option, error);
	if (strcmp(option->name.text, "reload") == 0) {
		status = vigie_statement_args(option, 1, 1, error);
		return status ? status
			      : vigie_duration_from_word(&option->args[0], &automatic->reload_ms, error);
	}
	if (strcmp(option->name.text, "upstream") == 0) {
		vigie_log(VIGIE_LOG_WARNING, "auto", "%s:%u: 'upstream' has no effect any more",
			  option->name.file, option->name.line);
		return VIGIE_OK;
	}
	return vigie_option_unknown(statement, option, error);
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	const struct vigie_word pattern = {.text = "db\\.(.*)", .file = "auto", .line = 1};
	struct automatic *automatic = vigie_arena_alloc(block->arena, sizeof(*automatic));
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!automatic)
		return vigie_error_memory(error);
	automatic->block = block;
	automatic->reload_ms = RELOAD_MS;
	automatic->folder.origin = "{1}";
	automatic->folder.pattern = regex_new(block->arena, &pattern, error);
	if (!automatic->folder.pattern)
		return VIGIE_ENOMEM;
	if (!status)
		status = static_zone_origins(&automatic->zones, block, statements[0], 0, error);
	for (size_t i = 0; i < statements[0]->body_count && !status; i++)
		status = read_option(automatic, statements[0], &statements[0]->body[i], error);
	if (!status && !automatic->folder.path)
		status = vigie_word_error(error, &statements[0]->name,
					  "'auto' needs 'directory DIR': where the zones' files are");
	if (status)
		return status;
	automatic->table = auto_scan(&automatic->folder, NULL);
	if (!automatic->table)
		return vigie_error_memory(error);
	*instance = automatic;
	return VIGIE_OK;
}

static void free_if_idle(struct watch *watch)
{
	if (watch->working || !watch->closed)
		return;
	uv_mutex_destroy(&watch->lock);
	free(watch);
}

/* In a thread of libuv's pool. */
static void scan_again(uv_work_t *work)
{
	struct watch *watch = work->data;
	struct auto_table *old;
	struct auto_table *table;

	vigie_thread_set(NULL, VIGIE_THREAD_BACKGROUND);
	uv_mutex_lock(&watch->lock);
	if (watch->automatic) {
		old = watch->automatic->table; /* only this thread changes it */
		table = auto_scan(&watch->automatic->folder, old);
		if (table) {
			__atomic_store_n(&watch->automatic->table, table, __ATOMIC_RELEASE);
			synchronize_rcu();
			auto_table_free(old);
		}
	}
	uv_mutex_unlock(&watch->lock);
}

/* Tells the secondaries of what is new. */
static void notify_changed(const struct automatic *automatic)
{
	for (size_t i = 0; i < automatic->table->count; i++) {
		const struct auto_zone *zone = &automatic->table->zones[i];

		if (zone->changed && zones_match(&automatic->zones, &zone->origin))
			transfer_notify(automatic->block->transfer, &zone->origin);
	}
}

static void on_scanned(uv_work_t *work, int cancelled)
{
	struct watch *watch = work->data;

	watch->working = false;
	if (watch->automatic)
		notify_changed(watch->automatic);
	else
		free_if_idle(watch);
}

static void on_timer(uv_timer_t *timer)
{
	struct watch *watch = timer->data;

	if (!watch->working)
		watch->working = uv_queue_work(timer->loop, &watch->work, scan_again, on_scanned) == 0;
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct automatic *automatic = instance;
	struct watch *watch;

	notify_changed(automatic);
	if (automatic->reload_ms == 0)
		return VIGIE_OK;
	watch = calloc(1, sizeof(*watch));
	if (!watch || uv_mutex_init(&watch->lock)) {
		free(watch);
		return vigie_error_memory(error);
	}
	watch->automatic = automatic;
	watch->timer.data = watch;
	watch->work.data = watch;
	uv_timer_init(block->process->loop, &watch->timer);
	uv_timer_start(&watch->timer, on_timer, automatic->reload_ms, automatic->reload_ms);
	automatic->watch = watch;
	return VIGIE_OK;
}

static void on_closed(uv_handle_t *handle)
{
	struct watch *watch = handle->data;

	watch->closed = true;
	free_if_idle(watch);
}

static void stop(void *instance)
{
	struct automatic *automatic = instance;
	struct watch *watch = automatic->watch;

	automatic->watch = NULL;
	if (!watch)
		return;
	atomic_store(&automatic->folder.stop, true); /* a scan ends with the file that it reads */
	uv_mutex_lock(&watch->lock);
	watch->automatic = NULL;
	uv_mutex_unlock(&watch->lock);
	uv_close((uv_handle_t *)&watch->timer, on_closed);
}

static void free_table(void *instance)
{
	struct automatic *automatic = instance;

	auto_table_free(automatic->table);
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct automatic *automatic = instance;
	const struct vigie_name *name = &request->query->name;
	const struct auto_zone *zone;

	if (!zones_match(&automatic->zones, name))
		return VIGIE_NEXT;
	zone = auto_table_find(__atomic_load_n(&automatic->table, __ATOMIC_ACQUIRE), name);
	return zone ? static_zone_answer(zone->zone, NULL, request) : VIGIE_NEXT;
}

static enum vigie_status zone(void *instance, const struct vigie_name *origin, struct vigie_zone **out)
{
	const struct automatic *automatic = instance;
	const struct auto_zone *found =
		zones_match(&automatic->zones, origin)
			? auto_table_get(__atomic_load_n(&automatic->table, __ATOMIC_ACQUIRE), origin->bytes,
					 origin->length)
			: NULL;

	if (!found || !found->zone)
		return VIGIE_ENOENT;
	*out = vigie_zone_ref(found->zone);
	return VIGIE_OK;
}

const struct vigie_directive vigie_directive_auto = {
	.name = "auto",
	.setup = setup,
	.start = start,
	.stop = stop,
	.free = free_table,
	.serve = serve,
	.zone = zone,
};

#include "zone_reload.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vigie/file_stamp.h"
#include "vigie/log.h"
#include "vigie/thread.h"

struct zone_reload {
	struct zone_reload_options options;
	char *path;
	struct vigie_name origin;
	uv_timer_t timer;
	uv_work_t work;
	uv_mutex_t lock;          /* of `zone` */
	struct static_zone *zone; /* NULL: stopped */
	bool working;             /* a thread of the pool reads; the main thread's, as all below */
	bool closed;              /* the loop let go of the timer */

	/* The reading thread's. */
	struct vigie_file_stamp stamp; /* of the file that is served */
	bool serial_known;
	uint32_t serial;
	enum vigie_status status;
	struct vigie_error error;
	char last_error[sizeof(((struct vigie_error *)NULL)->text)]; /* told once, not each time */
};

static void free_if_idle(struct zone_reload *reload)
{
	if (reload->working || !reload->closed)
		return;
	uv_mutex_destroy(&reload->lock);
	free(reload->path);
	free(reload);
}

/* In a thread of libuv's pool. */
static void read_again(uv_work_t *work)
{
	struct zone_reload *reload = work->data;
	struct vigie_file_stamp stamp;
	struct vigie_zone *zone;
	struct vigie_soa soa;

	vigie_thread_set(NULL, VIGIE_THREAD_BACKGROUND);
	stamp = vigie_file_stamp(reload->path);
	reload->status = VIGIE_EEXIST;
	if (reload->options.by_mtime && stamp.exists && vigie_file_stamp_same(&stamp, &reload->stamp))
		return; /* where there is no file, reading it says what is wrong */
	reload->status = vigie_zone_read(
		&zone, reload->path, &reload->origin,
		reload->serial_known && !reload->options.by_mtime ? &reload->serial : NULL, &reload->error);
	if (reload->status)
		return;
	vigie_zone_soa(zone, &soa);
	reload->serial = soa.serial;
	reload->serial_known = true;
	reload->stamp = stamp;
	uv_mutex_lock(&reload->lock);
	if (reload->zone)
		static_zone_publish(reload->zone, zone);
	else
		vigie_zone_unref(zone);
	uv_mutex_unlock(&reload->lock);
}

static void on_read(uv_work_t *work, int cancelled)
{
	struct zone_reload *reload = work->data;
	char text[VIGIE_NAME_TEXT_MAX];

	reload->working = false;
	if (!reload->zone) {
		free_if_idle(reload);
		return;
	}
	vigie_name_to_text(reload->origin.bytes, text);
	if (reload->status == VIGIE_OK) {
		reload->last_error[0] = 0;
		vigie_log(VIGIE_LOG_INFO, reload->options.directive,
			  "Successfully reloaded zone \"%s\" in \"%s\" with %" PRIu32 " SOA serial", text,
			  reload->path, reload->serial);
		if (reload->options.changed)
			reload->options.changed(reload->options.argument, reload->zone);
	} else if (reload->status == VIGIE_EEXIST) {
		reload->last_error[0] = 0;
	} else if (strcmp(reload->last_error, reload->error.text) != 0) {
		memcpy(reload->last_error, reload->error.text, sizeof(reload->last_error));
		vigie_log(VIGIE_LOG_ERROR, reload->options.directive, "Zone \"%s\" stays as it was: %s", text,
			  reload->error.text);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct zone_reload *reload = timer->data;

	if (reload->working)
		return;
	reload->working = uv_queue_work(timer->loop, &reload->work, read_again, on_read) == 0;
}

struct zone_reload *zone_reload_start(uv_loop_t *loop, struct static_zone *zone,
				      const struct zone_reload_options *options)
{
	struct zone_reload *reload = calloc(1, sizeof(*reload));
	struct vigie_soa soa;

	if (!reload)
		return NULL;
	reload->path = strdup(options->path);
	if (!reload->path || uv_mutex_init(&reload->lock)) {
		free(reload->path);
		free(reload);
		return NULL;
	}
	reload->options = *options;
	reload->origin = zone->origin;
	reload->zone = zone;
	reload->timer.data = reload;
	reload->work.data = reload;
	if (zone->zone) { /* nobody else publishes yet */
		vigie_zone_soa(zone->zone, &soa);
		reload->serial = soa.serial;
		reload->serial_known = true;
		reload->stamp = vigie_file_stamp(reload->path);
	}
	uv_timer_init(loop, &reload->timer);
	uv_timer_start(&reload->timer, on_timer, options->interval_ms, options->interval_ms);
	return reload;
}

static void on_closed(uv_handle_t *handle)
{
	struct zone_reload *reload = handle->data;

	reload->closed = true;
	free_if_idle(reload);
}

void zone_reload_stop(struct zone_reload *reload)
{
	uv_mutex_lock(&reload->lock);
	reload->zone = NULL;
	uv_mutex_unlock(&reload->lock);
	uv_close((uv_handle_t *)&reload->timer, on_closed);
}

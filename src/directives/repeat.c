#include "repeat.h"

#include <stdlib.h>

uv_timer_t *repeat_start(uv_loop_t *loop, uint64_t every_ms, uv_timer_cb on_timer, void *argument)
{
	uv_timer_t *timer = malloc(sizeof(*timer));

	if (!timer)
		return NULL;
	uv_timer_init(loop, timer);
	timer->data = argument;
	uv_timer_start(timer, on_timer, every_ms, every_ms);
	return timer;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void repeat_stop(uv_timer_t **timer)
{
	if (*timer)
		uv_close((uv_handle_t *)*timer, on_closed);
	*timer = NULL;
}

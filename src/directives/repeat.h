/* Timers of the main loop that go off again and again, until their block is stopped. */
#ifndef VIGIE_DIRECTIVES_REPEAT_H
#define VIGIE_DIRECTIVES_REPEAT_H

#include <uv.h>

/* The first time in `every_ms`; `argument` is the timer's data. It is the loop's memory: it closes after the
 * block has gone. NULL when there is none. */
uv_timer_t *repeat_start(uv_loop_t *loop, uint64_t every_ms, uv_timer_cb on_timer, void *argument);

/* Ends it, if there is one, and forgets it. */
void repeat_stop(uv_timer_t **timer);

#endif

/* Reading a zone's master file again from time to time, beside the serving threads. */
#ifndef VIGIE_DIRECTIVES_ZONE_RELOAD_H
#define VIGIE_DIRECTIVES_ZONE_RELOAD_H

#include "static_zone.h"

struct zone_reload;

struct zone_reload_options {
	const char *directive; /* for the log */
	const char *path;      /* copied */
	uint64_t interval_ms;
	bool by_mtime; /* the file's time says whether it is new, not the SOA's serial */
	/* Called in the main thread when a new zone is published; NULL: nobody asks. */
	void (*changed)(void *argument, struct static_zone *zone);
	void *argument;
};

/* Begins; NULL when memory is out. `zone` must live until stop. */
struct zone_reload *zone_reload_start(uv_loop_t *loop, struct static_zone *zone,
				      const struct zone_reload_options *options);

/* Nothing is published any more when this returns; the memory goes when the loop lets go of it. */
void zone_reload_stop(struct zone_reload *reload);

#endif

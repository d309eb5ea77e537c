/* Asking a zone's primary server by TCP: whether it has a newer zone, and for that zone. */
#ifndef VIGIE_DIRECTIVES_PRIMARY_H
#define VIGIE_DIRECTIVES_PRIMARY_H

#include <uv.h>

#include "host_port.h"
#include "vigie/zone.h"

struct primary;

enum primary_outcome {
	PRIMARY_ZONE,    /* a zone came: `builder` holds it, and is the callee's */
	PRIMARY_CURRENT, /* it has none that is newer */
	PRIMARY_FAILED   /* `trouble` says why */
};

typedef void primary_done(void *argument, enum primary_outcome outcome, struct vigie_zone_builder *builder,
			  const char *trouble);

/* Begins; `serial` is that of the zone that is there, NULL when there is none. `done` is called once, not
 * before this returns. NULL when memory is out. */
struct primary *primary_ask(uv_loop_t *loop, const union host_port *address, const struct vigie_name *origin,
			    const uint32_t *serial, primary_done *done, void *argument);

/* Gives up without a call of `done`. */
void primary_cancel(struct primary *primary);

#endif

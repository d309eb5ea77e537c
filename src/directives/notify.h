/* Outgoing NOTIFY (RFC 1996): tells a secondary that a zone has changed, and again until it says that it
 * heard. */
#ifndef VIGIE_DIRECTIVES_NOTIFY_H
#define VIGIE_DIRECTIVES_NOTIFY_H

#include <uv.h>

#include "host_port.h"
#include "vigie/name.h"

struct notifier;

/* On the main thread's loop. NULL when memory is out. */
struct notifier *notifier_new(uv_loop_t *loop);

/* Gives up what is under way; the memory goes when the loop lets go of it. */
void notifier_close(struct notifier *notifier);

/* Notifies `to`, from the address `source` unless it is NULL. Failures are logged. */
void notifier_send(struct notifier *notifier, const struct vigie_name *origin, const union host_port *to,
		   const union host_port *source);

#endif

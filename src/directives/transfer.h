/* What `transfer` offers to the directives that have zones. */
#ifndef VIGIE_DIRECTIVES_TRANSFER_H
#define VIGIE_DIRECTIVES_TRANSFER_H

#include "vigie/name.h"

struct vigie_transfer;

/* A zone of the block is there or has changed: whoever `transfer` lists for it is notified. Main thread, from
 * `start` on. `transfer` may be NULL: nobody is. */
void transfer_notify(struct vigie_transfer *transfer, const struct vigie_name *origin);

#endif

/* Names that never go to an upstream that is not meant for them: the cluster's, whatever falls through and
 * whether or not anything is synced, and special-use names. */
#ifndef VIGIE_DIRECTIVES_GUARD_H
#define VIGIE_DIRECTIVES_GUARD_H

#include "vigie/directive.h"

/* `kubernetes` serves these zones: the cluster's domains, and its reverse ranges where they are named.
 * (`in-addr.arpa` and `ip6.arpa` as a whole are not the cluster's.) Called at set-up. */
enum vigie_status guard_add_cluster(struct vigie_block *block, const struct vigie_name *zones, size_t count,
				    struct vigie_error *error);

/* Whether the name is in a zone of a cluster: one of these, or cluster.local. */
bool guard_is_cluster_name(const struct vigie_process *process, const struct vigie_name *name);

/* For whoever calls guard_holds later, at set-up: reads the special-use zones, so that no worker has to. */
enum vigie_status guard_prepare(struct vigie_error *error);

/* For `forward`, before it asks the upstreams of `from`: true when the name is held back, with the answer
 * written. An upstream of a zone that is the held zone or within it is meant for it, and so is one in a
 * server block for such a zone. */
bool guard_holds(const struct vigie_block *block, const struct vigie_name *from, size_t from_count,
		 struct vigie_request *request);

#endif

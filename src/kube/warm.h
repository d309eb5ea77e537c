/* The warm file: what a cluster knew, kept for the next start. Its body (state_file.h), integers with the
 * most significant byte first:
 *
 *     for each object: 4 bytes length · 1 byte kind · an event that adds it, in protobuf (decode.h)
 *     4 bytes zero */
#ifndef VIGIE_KUBE_WARM_H
#define VIGIE_KUBE_WARM_H

#include "vigie/kube.h"
#include "vigie/state_file.h"

enum {
	WARM_VERSION = 1,
	WARM_OBJECT_MAX = 16 << 20 /* bytes of one object */
};

/* Writes the cluster's objects to a new file beside `path`; it is to be committed (state_file.h). NULL:
 * `error` says what went wrong. */
struct vigie_state_out *warm_write(const char *path, const uint8_t owner[VIGIE_WARM_OWNER],
				   struct vigie_cluster *cluster, struct vigie_error *error);

#endif

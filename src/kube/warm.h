/* The warm file: what a cluster knew, kept for the next start. Its layout, integers with the most significant
 * byte first:
 *
 *     8 bytes "vigiewrm" · 4 bytes version · 8 bytes seconds since 1970 · 32 bytes of whose table it is
 *     for each object: 4 bytes length · 1 byte kind · an event that adds it, in protobuf (decode.h)
 *     4 bytes zero · 32 bytes BLAKE2b of all that stands before */
#ifndef VIGIE_KUBE_WARM_H
#define VIGIE_KUBE_WARM_H

#include "vigie/kube.h"

enum {
	WARM_VERSION = 1,
	WARM_SUM_SIZE = 32,
	WARM_HEADER_SIZE = 8 + 4 + 8 + VIGIE_WARM_OWNER,
	WARM_OBJECT_MAX = 16 << 20 /* bytes of one object */
};

/* A file that is written and not in its place yet. */
struct warm_file {
	int file; /* -1: there is none */
	char *path;
	char *new_path;
};

/* Writes the cluster's objects to a new file beside `path`. `error` says what went wrong. */
enum vigie_status warm_write(struct warm_file *written, const char *path,
			     const uint8_t owner[VIGIE_WARM_OWNER], struct vigie_cluster *cluster,
			     struct vigie_error *error);

/* Puts it in its place when it is safe on the disk, which may take long; or removes it, and the old file
 * stays. Any thread. */
enum vigie_status warm_commit(struct warm_file *written, struct vigie_error *error);

#endif

/* Cuts frames out of a watch stream in protobuf: four bytes of length, the most significant first, then a
 * WatchEvent. */
#ifndef VIGIE_KUBE_PROTO_CUT_H
#define VIGIE_KUBE_PROTO_CUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/buffer.h"
#include "vigie/status.h"

enum {
	PROTO_CUT_FRAME_MAX = 16 << 20 /* bytes of one frame; etcd holds 1.5 MiB */
};

/* One whole frame without its length, borrowed for the call. A status other than VIGIE_OK ends the feeding
 * with it. */
typedef enum vigie_status proto_cut_frame(void *argument, const uint8_t *frame, size_t length);

struct proto_cut {
	proto_cut_frame *frame;
	void *argument;
	struct vigie_buffer piece; /* the frame that has begun, with its length */
};

void proto_cut_init(struct proto_cut *cut, proto_cut_frame *frame, void *argument);
void proto_cut_fini(struct proto_cut *cut);

/* Takes the next bytes. VIGIE_ENOSPC: a frame is too large; VIGIE_ENOMEM; or what the callback returned.
 * After an error only proto_cut_fini may follow. */
enum vigie_status proto_cut_feed(struct proto_cut *cut, const uint8_t *bytes, size_t length);

/* Whether the bytes so far end between frames. False at the end of the stream: it was cut short. */
bool proto_cut_is_between(const struct proto_cut *cut);

#endif

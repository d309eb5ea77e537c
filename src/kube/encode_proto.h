/* Objects as the protobuf that decode_proto.c reads: for the warm file. */
#ifndef VIGIE_KUBE_ENCODE_PROTO_H
#define VIGIE_KUBE_ENCODE_PROTO_H

#include "vigie/arena.h"
#include "vigie/buffer.h"
#include "vigie/cluster.h"

/* Appends an event that adds the object. */
enum vigie_status encode_event_proto(struct vigie_buffer *out, enum vigie_kind kind,
				     const union vigie_object *object, struct vigie_arena *arena);

#endif

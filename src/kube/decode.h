/* API objects in JSON, reduced to what DNS needs. Text is put into an arena that the caller resets for each
 * object. A field of the wrong type makes the object refused, never a crash; unknown fields are not looked
 * at. */
#ifndef VIGIE_KUBE_DECODE_H
#define VIGIE_KUBE_DECODE_H

#include <jansson.h>

#include "vigie/arena.h"
#include "vigie/cluster.h"

struct decoded_labels {
	const char **keys;
	const char **values;
	size_t count;
};

/* An object of any kind that is watched. */
struct decoded_object {
	const char *namespace;
	const char *name;
	struct decoded_labels labels;
	bool skip; /* not for DNS (a slice without a service, or of names): nothing to put, but a known one is
		      gone */
	union {
		struct vigie_service service;
		struct vigie_slice slice;
		struct vigie_pod pod;
	};
};

/* Reads an object of a kind. VIGIE_EINVAL: `error` says which field; VIGIE_ENOMEM. */
enum vigie_status decode_object(struct decoded_object *object, enum vigie_kind kind, const json_t *json,
				struct vigie_arena *arena, struct vigie_error *error);

/* The kind of an object by its "kind" member ("Service", "EndpointSlice", …); VIGIE_KINDS when it is none of
 * ours. */
enum vigie_kind decode_kind(const json_t *json);

/* Puts a decoded object into a cluster, or deletes it. */
enum vigie_status decode_put(struct vigie_cluster *cluster, enum vigie_kind kind,
			     const struct decoded_object *object);

#endif

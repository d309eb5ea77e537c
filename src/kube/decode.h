/* API objects and watch events, in JSON or protobuf, reduced to what DNS needs. Text is put into an arena
 * that the caller resets for each of them. A field of the wrong type makes the object refused, never a crash;
 * unknown fields are not looked at. */
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

enum event_type {
	EVENT_PUT, /* ADDED, MODIFIED */
	EVENT_DELETED,
	EVENT_BOOKMARK,
	EVENT_ERROR,
	EVENT_UNKNOWN /* to be passed over */
};

/* One event of a watch. */
struct decoded_event {
	enum event_type type;
	const char *version; /* metadata.resourceVersion of the object; may be NULL */
	bool initial_end;    /* a bookmark behind the initial events */
	struct decoded_object object;
	enum vigie_status status; /* whether the object could be read; else `error` says why not */
	struct vigie_error error;
	int code; /* EVENT_ERROR: as the next two */
	uint64_t retry_after_s;
	const char *message;
	json_t *json; /* what the texts stand in, when they are not in the arena */
};

/* Reads an event. VIGIE_EINVAL when it is none; a malformed object is told by event->status. Only `fini` may
 * follow a failure. */
enum vigie_status decode_event_json(struct decoded_event *event, enum vigie_kind kind, const char *text,
				    size_t length, struct vigie_arena *arena);
/* `bytes` are one frame. */
enum vigie_status decode_event_proto(struct decoded_event *event, enum vigie_kind kind, const uint8_t *bytes,
				     size_t length, struct vigie_arena *arena);
void decode_event_fini(struct decoded_event *event);

/* The message of a Status in protobuf; NULL when it is none. */
const char *decode_message_proto(const uint8_t *bytes, size_t length, struct vigie_arena *arena);

/* Reads an object of a kind. VIGIE_EINVAL: `error` says which field; VIGIE_ENOMEM. */
enum vigie_status decode_object(struct decoded_object *object, enum vigie_kind kind, const json_t *json,
				struct vigie_arena *arena, struct vigie_error *error);

/* The kind of an object by its "kind" member ("Service", "EndpointSlice", …); VIGIE_KINDS when it is none of
 * ours. */
enum vigie_kind decode_kind(const json_t *json);

/* Puts a decoded object into a cluster, or deletes it. */
enum vigie_status decode_put(struct vigie_cluster *cluster, enum vigie_kind kind,
			     const struct decoded_object *object);

/* What the two encodings share. */

enum {
	DECODE_ADDRESSES_MAX = 100 /* of one endpoint or pod: the API's own limit */
};
extern const char decode_service_label[];
extern const char decode_trigger_annotation[];
extern const char decode_end_annotation[];

enum event_type decode_event_type(const char *text);

/* One of clusterIPs: "" is not allocated yet, "None" is headless. */
enum vigie_status decode_cluster_ip(struct vigie_service *service, const char *text,
				    struct vigie_error *error);

/* Seconds since 1970 of an RFC 3339 time with or without a fraction, in UTC; 0 when it is none. */
double decode_time(const char *text);

#endif

/* Cuts JSON objects out of a byte stream one by one, so that no list is ever held whole: from a watch stream
 * (objects back to back), or from a List document (the elements of its top-level "items"). Knows just enough
 * of JSON (RFC 8259) to find where an object ends: strings, escapes and brackets. */
#ifndef VIGIE_KUBE_JSON_CUT_H
#define VIGIE_KUBE_JSON_CUT_H

#include <stdbool.h>
#include <stddef.h>

#include "vigie/buffer.h"
#include "vigie/status.h"

enum {
	JSON_CUT_OBJECT_MAX = 16 << 20, /* bytes of one object; etcd holds 1.5 MiB */
	JSON_CUT_ENVELOPE_MAX = 1 << 20 /* bytes of what surrounds the items of a List */
};

enum json_cut_mode {
	JSON_CUT_STREAM, /* top-level objects back to back, with or without newlines */
	JSON_CUT_LIST    /* documents with "items"; each may be followed by another */
};

/* One whole object, borrowed for the call. A status other than VIGIE_OK ends the feeding with it. */
typedef enum vigie_status json_cut_object(void *argument, const char *json, size_t length);

struct json_cut {
	enum json_cut_mode mode;
	json_cut_object *object;   /* JSON_CUT_STREAM: each object; JSON_CUT_LIST: each item */
	json_cut_object *envelope; /* JSON_CUT_LIST: a document without its items, when it has ended */
	void *argument;
	struct vigie_buffer piece;   /* the object that has begun */
	struct vigie_buffer outside; /* the envelope so far, its "items" array empty */
	size_t depth;                /* open brackets of the document */
	size_t piece_depth;          /* the depth that the current piece began at; 0: none has */
	bool in_string;
	bool escaped;
	bool key_is_items; /* the last string at depth 1 was "items" */
	bool in_items;
	size_t string_start; /* of the last string at depth 1, in `outside` */
};

void json_cut_init(struct json_cut *cut, enum json_cut_mode mode, json_cut_object *object,
		   json_cut_object *envelope, void *argument);
void json_cut_fini(struct json_cut *cut);

/* Takes the next bytes. VIGIE_EINVAL: this is no JSON object; VIGIE_ENOSPC: one is too large; VIGIE_ENOMEM;
 * or what a callback returned. After an error only json_cut_fini may follow. */
enum vigie_status json_cut_feed(struct json_cut *cut, const char *bytes, size_t length);

/* Whether the bytes so far end between documents. False at the end of the stream: it was cut short. */
bool json_cut_is_between(const struct json_cut *cut);

#endif

/* The weight file of `loadbalance weighted`: domain names, and below each its addresses with their weights.
 * Built at once, then immutable. */
#ifndef VIGIE_DIRECTIVES_WEIGHTS_H
#define VIGIE_DIRECTIVES_WEIGHTS_H

#include <stddef.h>
#include <stdint.h>

#include "vigie/name.h"
#include "vigie/status.h"

enum {
	WEIGHT_DEFAULT = 1, /* of an address that the file does not list */
	WEIGHT_MAX = 255
};

struct weights;

/* Reads a text, which need not be terminated. NULL and `error` (with the line; `path` names the file) when it
 * is malformed or memory is out. */
struct weights *weights_new(const char *path, const char *text, size_t length, struct vigie_error *error);
void weights_free(struct weights *weights);

/* The weight of an address (16 bytes, v4 mapped into v6) of a name, 1 to WEIGHT_MAX. */
unsigned weights_get(const struct weights *weights, const struct vigie_name *name, const uint8_t address[16]);

#endif

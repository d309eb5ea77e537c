/* Keys that sort as names do in DNSSEC (RFC 4034 section 6.1) when their bytes are compared: the labels from
 * the right, each closed by a zero byte; a zero or one within a label is written as two bytes. A name's
 * descendants so stand directly behind it. */
#ifndef VIGIE_ZONES_KEY_H
#define VIGIE_ZONES_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "vigie/name.h"

enum { KEY_MAX = 2 * VIGIE_NAME_MAX };

/* Writes the key of the labels of `name` that stand left of the last `skip` ones; returns its length. `key`
 * holds KEY_MAX bytes. */
size_t key_make(const struct vigie_name *name, size_t skip, uint8_t *key);

int key_compare(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length);

/* How many labels both keys begin with. */
size_t key_common(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length);

#endif

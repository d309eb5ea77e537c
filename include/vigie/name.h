/* Domain names in wire format (RFC 1035 section 3.1): labels of 1 to 63 bytes, each behind its length, closed
 * by the root's zero. Binary-safe: a name never takes the way through text on the hot path. */
#ifndef VIGIE_NAME_H
#define VIGIE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vigie/status.h"

enum {
	VIGIE_NAME_MAX = 255,   /* bytes of a name with the root's zero (RFC 1035 section 2.3.4) */
	VIGIE_LABEL_MAX = 63,   /* bytes of a label */
	VIGIE_LABELS_MAX = 127, /* labels of a name without the root */
	VIGIE_NAME_TEXT_MAX =
		1024 /* bytes of the longest text form with its terminator: every byte as \DDD */
};

/* A folded name: ASCII letters in lower case, no compression. */
struct vigie_name {
	uint16_t length; /* bytes with the root's zero: 1 to 255 */
	uint8_t labels;  /* labels without the root: 0 to 127 */
	uint8_t offset[VIGIE_LABELS_MAX +
		       1]; /* where label i begins, from the left; offset[labels] is the root's */
	uint8_t bytes[VIGIE_NAME_MAX + 1]; /* the name; what is behind `length` is undefined */
};

/* Reads text such as "Example.org." or "a\.b.c" (RFC 1035 section 5.1 escapes; the last dot is optional; "."
 * is the root) and folds it. VIGIE_EINVAL when it is not a name. */
enum vigie_status vigie_name_from_text(struct vigie_name *name, const char *text);

/* Reads an uncompressed wire name of at most `available` bytes and folds it. VIGIE_EINVAL when malformed or
 * cut. */
enum vigie_status vigie_name_from_wire(struct vigie_name *name, const uint8_t *wire, size_t available);

/* Writes the text form with a final dot, special bytes escaped; `text` holds VIGIE_NAME_TEXT_MAX bytes.
 * Returns `text`. */
char *vigie_name_to_text(const uint8_t *wire, char *text);

/* Bytes of a well-formed uncompressed wire name with the root's zero. */
size_t vigie_name_length(const uint8_t *wire);

/* Whether two wire names are the same but for the case of ASCII letters. */
bool vigie_name_equal(const uint8_t *a, const uint8_t *b);

/* Whether 2 × `size` bytes of two pieces of names are the same: the first and the last `size` of `length`,
 * which may overlap. `size` is a constant. */
static inline __attribute__((always_inline)) bool vigie_name_same_ends(const uint8_t *a, const uint8_t *b,
								       size_t length, size_t size)
{
	uint64_t x[2] = {0};
	uint64_t y[2] = {0};

	memcpy(&x[0], a, size);
	memcpy(&x[1], a + length - size, size);
	memcpy(&y[0], b, size);
	memcpy(&y[1], b + length - size, size);
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

/* Whether two pieces of names are the same bytes. So few that calling memcmp would cost more. */
static inline __attribute__((always_inline)) bool vigie_name_same(const uint8_t *a, const uint8_t *b,
								  size_t length)
{
	for (; length > 16; a += 16, b += 16, length -= 16) {
		if (!vigie_name_same_ends(a, b, 16, 8))
			return false;
	}
	if (length >= 8)
		return vigie_name_same_ends(a, b, length, 8);
	if (length >= 4)
		return vigie_name_same_ends(a, b, length, 4);
	return length == 0 || (vigie_name_same_ends(a, b, length, 1) && a[length / 2] == b[length / 2]);
}

/* Whether `name` is `zone` or below it. Both folded. */
static inline bool vigie_name_is_below(const struct vigie_name *name, const struct vigie_name *zone)
{
	size_t labels = name->labels;
	size_t at;

	if (labels < zone->labels)
		return false;
	at = name->offset[labels - zone->labels];
	return name->length - at == zone->length &&
	       vigie_name_same(name->bytes + at, zone->bytes, zone->length);
}

/* Folds `length` bytes: 'A' to 'Z' become lower case, all else (length bytes of labels are below 'A') stays.
 */
void vigie_name_fold(uint8_t *out, const uint8_t *in, size_t length);

/* The address that a name under in-addr.arpa or ip6.arpa stands for, v4 as a v4-mapped v6 address (16 bytes).
 * VIGIE_OK: a whole address. VIGIE_ENOENT: an interior node (fewer labels, each of them valid).
 * VIGIE_EINVAL: not under those zones, or a label that no address has. */
enum vigie_status vigie_name_to_address(const struct vigie_name *name, uint8_t address[16]);

/* Whether the name is in-addr.arpa or ip6.arpa, or below. */
bool vigie_name_is_below_arpa(const struct vigie_name *name);
static inline bool vigie_name_is_reverse(const struct vigie_name *name)
{
	/* Most names are seen not to be at once. */
	return name->labels >= 2 && memcmp(name->bytes + name->length - 5, "arpa", 5) == 0 &&
	       vigie_name_is_below_arpa(name);
}

#endif

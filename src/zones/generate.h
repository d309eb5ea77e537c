/* $GENERATE of master files, as BIND has it: "$GENERATE START-STOP[/STEP] OWNER … DATA", a record for each
 * number, which stands where "$" or "${OFFSET[,WIDTH[,BASE]]}" does. */
#ifndef VIGIE_ZONES_GENERATE_H
#define VIGIE_ZONES_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GENERATE_MAX = 65536 /* records of one statement */ };

struct generate {
	int64_t number; /* of the next line */
	int64_t stop;
	int64_t step;
	const char *pattern; /* of a line; not terminated, the caller's */
	size_t length;
};

/* Reads what stands behind "$GENERATE". Returns what is wrong with it, or NULL. */
const char *generate_begin(struct generate *generate, const char *text, size_t length);

/* Whether there is another line. */
bool generate_more(const struct generate *generate);

/* Writes the next line into `line` of `size` bytes, terminated. Returns what is wrong with it, or NULL. */
const char *generate_next(struct generate *generate, char *line, size_t size);

#endif

/* The special-use zones of zones/, which are part of the program (RFC 6303, 6761, 7686, 8375). */
#ifndef VIGIE_DIRECTIVES_SPECIAL_USE_H
#define VIGIE_DIRECTIVES_SPECIAL_USE_H

#include "static_zone.h"

/* The texts of zones/special-use.zone and zones/private-use.zone. */
extern const unsigned char special_use_text[];
extern const size_t special_use_text_length;
extern const unsigned char private_use_text[];
extern const size_t private_use_text_length;

struct special_zones {
	struct static_zone *list;
	size_t count;
};

/* The zones, read when they are first asked for and kept for as long as the process lives. NULL and `error`
 * set when memory is out. Main thread only. */
const struct special_zones *special_use_zones(struct vigie_error *error);
const struct special_zones *private_use_zones(struct vigie_error *error);

/* Reads zones, one for each SOA record. */
enum vigie_status special_zones_read(struct special_zones *zones, const unsigned char *text, size_t length,
				     struct vigie_error *error);

#endif

/* Catalog zones (RFC 9432, version 2): a zone that lists other zones, the members, for a secondary server to
 * fetch. */
#ifndef VIGIE_CATALOG_H
#define VIGIE_CATALOG_H

#include "vigie/zone.h"

enum {
	VIGIE_CATALOG_MEMBERS_MAX =
		10000 /* of one catalog: each is a zone, and takes a timer of the main loop */
};

struct vigie_catalog_member {
	struct vigie_name origin;
	/* The label of the member's node, a length and so many bytes: another one means that the zone's state
	 * is to be forgotten (section 5.4). */
	uint8_t id[1 + VIGIE_LABEL_MAX];
	/* The catalog that may take the member over, wire name, folded (`coo`, section 4.4.1); NULL: none. */
	uint8_t *owner_to_be;
};

struct vigie_catalog {
	size_t count;
	struct vigie_catalog_member members[]; /* in the order in which vigie_catalog_get looks */
};

/* Reads the members out of a zone. NULL with `error` set when it is broken, and then nothing of it holds
 * (section 5.1): another version or several, a member node with several names, a zone that is listed twice,
 * too many members; or when memory is out. Properties that this reader does not know are passed over. */
struct vigie_catalog *vigie_catalog_read(const struct vigie_zone *zone, struct vigie_error *error);
void vigie_catalog_free(struct vigie_catalog *catalog);

/* The member zone with this origin; NULL: there is none. */
const struct vigie_catalog_member *vigie_catalog_get(const struct vigie_catalog *catalog,
						     const struct vigie_name *origin);

#endif

/* `secondary`: what its two parts share, the directive and the members of its catalogs. */
#ifndef VIGIE_DIRECTIVES_SECONDARY_H
#define VIGIE_DIRECTIVES_SECONDARY_H

#include "follower_table.h"

struct secondary {
	struct vigie_block *block;
	struct vigie_name *origins; /* of the zones in the Corefile; in the block's arena, as the sources */
	struct source **from;       /* origins[i] is of from[i] */
	size_t count;
	struct follower_events events;
	struct follower_table *table;   /* RCU; the main thread writes it. NULL: not started */
	const struct secondary *before; /* while zones of the configuration before are adopted */
	bool kept;                      /* for the next configuration */
};

/* Keeps it for the next configuration; its followers take over what those of the one before have.
 * VIGIE_ENOMEM.
 */
enum vigie_status secondary_keep(struct secondary *secondary);
void secondary_keep_release(struct secondary *secondary);

/* For a follower that has just been made. */
void secondary_adopt(const struct secondary *secondary, struct follower *follower);

/* A catalog has come, and lists other members than before (catalog->lists): those that are new begin, those
 * that are gone end. */
void secondary_apply_catalog(struct secondary *secondary, struct follower *catalog);

#endif

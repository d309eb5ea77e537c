/* Which services have an address: what PTR records are found by. A table (slots.h) of all pairs of address
 * and service; the address itself stands in the service's blob alone. */
#ifndef REVERSE_H
#define REVERSE_H

#include "slots.h"

/* Walks over the services that may have an address. */
void vigie_reverse_begin(struct slots_walk *walk, const struct vigie_records *records,
			 const uint8_t *address);

/* The next service; NULL at the end. `cluster`: the address is the one that the cluster gave the service,
 * else an endpoint's. It MAY have the address: its blob says whether it has. */
const struct entry *vigie_reverse_next(struct slots_walk *walk, bool *cluster);

/* The writer's part. */

/* Makes room for `more` additions. The table is built anew, out of the published blobs of all entries, when
 * it is too small, too empty or too worn. VIGIE_ENOMEM. */
enum vigie_status vigie_reverse_reserve(struct vigie_records *records, size_t more);

/* Adds a pair that is not there, for which room was reserved. */
void vigie_reverse_add(struct vigie_records *records, const struct entry *entry, const uint8_t *address,
		       bool cluster);
void vigie_reverse_remove(struct vigie_records *records, const struct entry *entry, const uint8_t *address,
			  bool cluster);

#endif

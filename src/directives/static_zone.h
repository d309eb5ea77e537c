/* A zone that a directive serves and may replace while it is served (RCU): `file`, `auto`, `secondary`. */
#ifndef VIGIE_DIRECTIVES_STATIC_ZONE_H
#define VIGIE_DIRECTIVES_STATIC_ZONE_H

#include "vigie/zone.h"
#include "zones.h"

struct static_zone {
	struct vigie_name origin;
	struct vigie_zone *zone; /* atomic; NULL: not there (yet) */
	bool expired;            /* atomic: the copy is too old to be served */
};

/* The zone with the longest origin that the name is in; NULL when there is none. */
struct static_zone *static_zone_find(struct static_zone *zones, size_t count, const struct vigie_name *name);

/* Answers from the zone; SERVFAIL while it is not there. NEXT when the name does not exist and falls through.
 */
enum vigie_verdict static_zone_serve(const struct static_zone *zone, const struct fallthrough *fall,
				     struct vigie_request *request);

/* The same from a zone that is there. Without `fall` nothing falls through. */
enum vigie_verdict static_zone_answer(const struct vigie_zone *zone, const struct fallthrough *fall,
				      struct vigie_request *request);

/* Makes `next` (owned from here on; may be NULL) what is served. Waits for the readers of the one before:
 * not in a worker, and rather not in the main thread. */
void static_zone_publish(struct static_zone *zone, struct vigie_zone *next);

/* For a directive's `zone`: the one with exactly this origin, with a reference. VIGIE_ENOENT: there is none;
 * VIGIE_ETIMEOUT: it is not there yet, or too old. */
enum vigie_status static_zone_snapshot(const struct static_zone *zones, size_t count,
				       const struct vigie_name *origin, struct vigie_zone **snapshot);

/* The origins that a directive is for: its arguments from `first` on, else the zones of its block's keys,
 * each once. */
enum vigie_status static_zone_origins(struct zones *origins, struct vigie_block *block,
				      const struct vigie_statement *statement, size_t first,
				      struct vigie_error *error);

#endif

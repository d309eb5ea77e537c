/* An incoming zone transfer (RFC 5936): the messages of a primary become a zone. No sockets here. */
#ifndef VIGIE_AXFR_H
#define VIGIE_AXFR_H

#include "vigie/zone.h"

struct vigie_axfr;

/* For a transfer of `origin` that was asked for under `id`. NULL when memory is out. */
struct vigie_axfr *vigie_axfr_new(const struct vigie_name *origin, uint16_t id);
void vigie_axfr_free(struct vigie_axfr *axfr);

/* Takes the next message, as it came. VIGIE_EINVAL: it is not a part of this transfer, or the primary
 * refuses: `error` says what is wrong, and there is nothing more to come. VIGIE_ENOSPC, VIGIE_ENOMEM. Records
 * that are not in the zone are left out. */
enum vigie_status vigie_axfr_take(struct vigie_axfr *axfr, const uint8_t *message, size_t length,
				  struct vigie_error *error);

/* Whether the SOA came for the second time: that was the last message. */
bool vigie_axfr_done(const struct vigie_axfr *axfr);

/* The records, once all are there; the caller owns the builder. */
struct vigie_zone_builder *vigie_axfr_builder(struct vigie_axfr *axfr);

/* The serial in the answer to a question for the SOA of `origin`. VIGIE_EINVAL when it holds none. */
enum vigie_status vigie_axfr_serial(const struct vigie_name *origin, uint16_t id, const uint8_t *message,
				    size_t length, uint32_t *serial, struct vigie_error *error);

#endif

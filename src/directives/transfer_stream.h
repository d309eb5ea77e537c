/* The messages of an outgoing transfer (RFC 5936): a zone's records, with the SOA first and last. */
#ifndef VIGIE_DIRECTIVES_TRANSFER_STREAM_H
#define VIGIE_DIRECTIVES_TRANSFER_STREAM_H

#include "vigie/request.h"
#include "vigie/zone.h"

/* Told when the stream ends: how many records it gave, and whether that were all. */
typedef void transfer_ended(void *argument, const struct vigie_zone *zone, uint64_t records, bool complete);

/* A stream of a zone, whose reference it takes over. NULL when memory is out; the reference stays then. */
struct vigie_stream *transfer_stream_new(struct vigie_zone *zone, transfer_ended *ended, void *argument);

/* Writes the SOA alone: the zone is as the client knows it. */
void transfer_write_soa(const struct vigie_zone *zone, struct vigie_answer *answer);

#endif

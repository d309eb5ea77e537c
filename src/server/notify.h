/* NOTIFY (RFC 1996), which the gate turns away as it does every opcode but QUERY, except where a block has
 * zones that a primary may notify it of. */
#ifndef VIGIE_SERVER_NOTIFY_H
#define VIGIE_SERVER_NOTIFY_H

#include "worker.h"

/* The answer to a packet that the gate turned away for its opcode, written to `buffer`; 0: it is no NOTIFY
 * for this listener, and to be refused as any. */
size_t notify_answer(const struct listener *listener, const union address *client, const uint8_t *packet,
		     size_t length, uint8_t *buffer, size_t limit);

#endif

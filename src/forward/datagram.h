/* Attempts by UDP: each has a socket of its own, connected, bound to a random port, used for one query. */
#ifndef VIGIE_FORWARD_DATAGRAM_H
#define VIGIE_FORWARD_DATAGRAM_H

#include <uv.h>

#include "exchange.h"

/* As `send` and `drop` of struct net. */
int datagram_send(uv_loop_t *loop, struct attempt *attempt);
void datagram_drop(struct attempt *attempt);

/* Takes the datagrams that are there, as the loop would in its turn. The exchange may end in it. */
void datagram_read(struct attempt *attempt);

#endif

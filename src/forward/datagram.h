/* Attempts by UDP: each has a connected socket and a random port that no other one has or had. The socket of
 * one that is over is used again where its port can be given back; the port never is. */
#ifndef VIGIE_FORWARD_DATAGRAM_H
#define VIGIE_FORWARD_DATAGRAM_H

#include <uv.h>

#include "exchange.h"

struct datagrams;

/* The sockets of one loop. `turn` is taken around the callbacks in which datagrams are read. NULL when memory
 * is out. */
struct datagrams *datagrams_new(uv_loop_t *loop, const struct vigie_turn *turn);

/* Closes; no attempt holds a socket any more. The memory goes when the loop has closed the handle. */
void datagrams_close(struct datagrams *datagrams);

/* As `send` and `drop` of struct net. The query goes out in the loop's next turn, when clients who need no
 * upstream have their answers; only that it cannot be sent is told then (exchange_failed). */
int datagram_send(struct datagrams *datagrams, struct attempt *attempt);
void datagram_drop(struct attempt *attempt);

/* Takes the datagrams that are there, as the loop would in its turn. The exchange may end in it. */
void datagram_read(struct attempt *attempt);

#endif

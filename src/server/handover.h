/* What a worker gets when the configuration changes: who listens where from now on, and the new sockets. */
#ifndef VIGIE_SERVER_HANDOVER_H
#define VIGIE_SERVER_HANDOVER_H

#include "listen.h"

struct handover {
	const struct listeners *listeners;   /* borrowed */
	const struct vigie_process *process; /* of the next generation */
	struct udp_socket *udp_sockets;      /* open, not the worker's yet */
	struct tcp_listener *tcp_listeners;
	void (*done)(void *argument); /* called once, in the worker's thread: nothing of the old is used any
					 more */
	void *argument;
};

/* NULL when memory is out. */
struct handover *handover_new(const struct listeners *listeners, const struct vigie_process *process,
			      void (*done)(void *argument), void *argument);

/* Opens the sockets of one more address. VIGIE_EIO with the address in `error`. */
enum vigie_status handover_listen(struct handover *handover, const struct listener *listener,
				  struct vigie_error *error);

/* Frees it with the sockets that no worker took. */
void handover_free(struct handover *handover);

/* Goes over: sockets and connections whose address stays get their new listener; the others are read out and
 * closed when nothing is under way there; new ones begin. The handover is the worker's from here on. In the
 * worker's thread. */
void handover_apply(struct worker *worker, struct handover *handover);

/* Whether nothing of the generation before is used any more; then `done` was called. In the worker's thread.
 */
bool handover_check(struct worker *worker);

#endif

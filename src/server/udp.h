/* DNS over UDP: up to VIGIE_UDP_BATCH packets by one recvmmsg, answered in place, sent by one sendmmsg. */
#ifndef VIGIE_SERVER_UDP_H
#define VIGIE_SERVER_UDP_H

#include "fair.h"
#include "filter.h"
#include "worker.h"

struct origin;

/* One socket of a worker, bound with SO_REUSEPORT. */
struct udp_socket {
	struct udp_socket *next;
	struct worker *worker;
	const struct listener *listener;
	uv_poll_t poll; /* from udp_attach on */
	int fd;
	unsigned full_batches; /* read since it was empty */
	uint32_t unread;       /* the kernel's count of drops, when it was last looked at */
	struct pressure {
		bool on;              /* queries are looked at one by one: their age, and whose they are */
		uint64_t overflow_ms; /* when a turn ended last with queries left */
		struct backlog backlog;
		uint64_t period_ms; /* when the period ends */
		struct fair fair;
		struct filter filter; /* clients that have had their share of this period */
	} pressure;
	bool retired; /* its address is not listened on any more: it sends the last answers */
};

/* The buffers of a batch; one for a worker, its sockets use it in turn. */
struct udp_batch *udp_batch_new(void);
void udp_batch_free(struct udp_batch *batch);

/* Opens and binds a socket and puts it in front of a list; VIGIE_EIO with the address in `error`. */
enum vigie_status udp_open(struct udp_socket **list, const struct listener *listener,
			   struct vigie_error *error);

/* Frees a socket that no worker has. */
void udp_discard(struct udp_socket *socket);

/* Gives a socket to a worker: before its thread starts, or in it. */
void udp_attach(struct worker *worker, struct udp_socket *socket);

/* Starts reading, in the worker's thread. */
void udp_start(struct udp_socket *socket);

/* Answers what is queued in the socket and closes it for reading; answers of suspended queries can still be
 * sent. */
void udp_drain(struct udp_socket *socket);

/* Counts what the kernel has dropped at the socket since the last time. */
void udp_count_unread(struct udp_socket *socket);

/* Closes; the memory goes when the loop has closed the handle. */
void udp_close(struct udp_socket *socket);

/* Sends one answer, of a query that was suspended and may have VIGIE_UDP_SIZE_EDNS bytes: at the end of the
 * callback, with others. */
void udp_send(struct udp_socket *socket, const struct origin *origin, const uint8_t *answer, size_t length);

/* That end. */
void udp_flush(struct worker *worker);

#endif

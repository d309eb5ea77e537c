/* A worker: one thread with its own loop, sockets, buffers and counters. It shares nothing that it writes. */
#ifndef VIGIE_SERVER_WORKER_H
#define VIGIE_SERVER_WORKER_H

#include <stdatomic.h>
#include <uv.h>

#include "address.h"
#include "block.h"
#include "vigie/request.h"
#include "vigie/server.h"

/* What a worker counted since it started. Written by its thread only; read by others without a promise of the
 * last few. */
struct counters {
	uint64_t refused[VIGIE_GATES];            /* packets that the gate turned away, by reason */
	uint64_t queries[VIGIE_CHANNEL_INTERNAL]; /* queries of clients that passed the gate, by channel */
	uint64_t dropped;                         /* queries that a directive dropped */
	uint64_t udp_unsent;                      /* answers that the kernel did not take */
	uint64_t udp_stale;                       /* queries that had waited too long in the socket */
	uint64_t udp_unfair;       /* queries beyond their client's share of a socket that overflowed */
	uint64_t udp_unread;       /* packets that the kernel dropped at a socket */
	uint64_t tcp_accepted;     /* connections */
	uint64_t tcp_rejected;     /* closed at once: too many of the client's */
	uint64_t tcp_evicted;      /* closed for a newer one: too many in all */
	uint64_t tcp_idle;         /* closed by the idle timeout */
	uint64_t tcp_slow;         /* closed because answers were not read */
	uint64_t unserved;         /* queries for names that no block serves */
	uint64_t refused_upstream; /* questions that were not asked upstream: too many under way */
};

/* In the thread that the counter belongs to. */
static inline void count_more(uint64_t *counter, uint64_t more)
{
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

/* How long the loop was held by one callback, in seconds: what a packet that comes meanwhile waits. */
enum { TURN_BOUNDS = 13 };
extern const double turn_bounds[TURN_BOUNDS];

struct turns {
	uint64_t counts[TURN_BOUNDS + 1];
	uint64_t sum_us;
};

struct generation;
struct handover;

/* An address and port that blocks listen on, for all workers. */
struct listener {
	struct vigie_server_name name;
	union address address;
	struct zone_table *zones; /* owned */
	const struct block *only; /* serves all names here whatever they are; NULL: the zones say who does */
	const struct generation *generation; /* that it is of */
	struct vigie_timeouts timeouts;
	struct vigie_tls *tls; /* borrowed; NULL: UDP and TCP */
	bool notifiable;       /* a block here has zones that others may notify it of */
	bool wildcard;         /* the address that was asked comes with each packet */
};

/* The server's side of struct vigie_worker. */
struct worker {
	struct vigie_worker base; /* what directives see; first, so that one is the other */
	uv_loop_t loop;
	uv_thread_t thread;
	uv_async_t stop;   /* another thread asks for the end */
	uv_async_t change; /* another thread brings a handover */
	_Atomic(struct handover *) incoming;
	struct handover *handover; /* under way */
	uv_timer_t retire;         /* meanwhile: is everything of the generation before done? */
	uv_timer_t
		tick; /* once a second: idle connections; while draining, more often: is everything done? */
	bool thread_runs;
	void (*ended)(void *argument); /* called by the thread when it ends */
	void *ended_argument;
	bool stopping;
	uint64_t stop_by_ms; /* vigie_clock_ms when draining gives up */
	uint64_t turn_us;    /* when the callback that runs began */
	unsigned online;     /* how many callbacks are inside worker_enter */
	size_t suspended;
	struct vigie_pending *pendings; /* all that are suspended */
	struct vigie_pending *awaiting; /* those that wait until a time, the earliest first */
	struct vigie_pending *awaiting_last;
	uv_timer_t await; /* that time */
	uint8_t *scratch[VIGIE_DEPTH_MAX +
			 1]; /* answers of resumed requests and look-ups, by depth; made on first use */
	struct udp_batch *batch;
	struct udp_socket *udp_sockets;
	struct tcp_listener *tcp_listeners;
	struct connection *connections;
	size_t connection_count;
	struct counters counters;
	struct turns turns;
};

static inline struct worker *worker_of(struct vigie_worker *base)
{
	return (struct worker *)base;
}

/* NULL when memory is out. Sockets are added before the thread starts. */
struct worker *worker_new(unsigned index);
enum vigie_status worker_listen(struct worker *worker, const struct listener *listener,
				struct vigie_error *error);

/* Starts the thread; `ended` is called in it when it ends. */
enum vigie_status worker_start(struct worker *worker, void (*ended)(void *argument), void *argument);

/* Asks the thread to read its sockets out, to wait for what is suspended, and to end. Any thread. */
void worker_stop(struct worker *worker);

/* Gives the next generation to the thread, which owns the handover from here on (handover.h). Any thread. */
void worker_hand_over(struct worker *worker, struct handover *handover);

/* Joins the thread and frees. */
void worker_free(struct worker *worker);

/* Between two batches of one callback: runs what was put off to the end of the first, and reads the clock for
 * the second. */
void worker_next_batch(struct worker *worker);

/* Every callback of a worker's loop that reads published data stands between these; the clock is read at
 * both: the thread is offline for RCU otherwise, above all while it sleeps in the poll. (libuv runs poll
 * callbacks before uv_check, so the pair prepare/check of the first design does not hold.) They nest. */
void worker_enter(struct worker *worker);
void worker_leave(struct worker *worker);

/* A buffer of VIGIE_MESSAGE_MAX bytes for answers at a depth; NULL when memory is out. */
uint8_t *worker_scratch(struct worker *worker, unsigned depth);

#endif

/* What flight.c and await.c share: suspended requests, and requests within requests. */
#ifndef VIGIE_SERVER_PENDING_H
#define VIGIE_SERVER_PENDING_H

#include "flight.h"

/* A suspended request: everything that must outlive the packet's buffer. */
struct vigie_pending {
	struct vigie_pending *next;
	struct vigie_pending *previous;
	struct worker *worker;
	struct vigie_query query; /* its packet is `packet` */
	struct origin origin;
	const struct block *block;
	size_t first;
	size_t position;
	size_t limit;
	enum vigie_channel channel;
	bool inner;
	unsigned depth;
	uint32_t rotation;
	uint64_t began_us;
	uint64_t deadline_us;
	struct vigie_trace *trace;
	bool silent;
	bool background;

	/* The answer so far, for a request that waits for a look-up: its bytes stand behind the packet. */
	struct vigie_answer held;
	size_t held_length;

	/* Who is to hear that it is given up; NULL: nobody. */
	void (*abandoned)(void *argument);
	void *abandoned_argument;

	/* An inner one: who asked, and how to go on there. The parent is NULL when nobody waits, or not any
	 * more. */
	bool passed; /* it serves the rest of the asking one's chain */
	struct vigie_pending *parent;
	vigie_lookup_done *done;
	void *argument;

	/* One that waits for an inner one, but not for ever. */
	struct vigie_pending *child;  /* the inner one that it waits for; NULL: it waits for none */
	struct vigie_pending *sooner; /* its neighbours among the worker's, by time */
	struct vigie_pending *later;
	uint64_t wait_until_ms; /* vigie_clock_ms; 0: for as long as it takes */

	uint8_t bytes[]; /* the packet, then the held answer */
};

/* Suspends with a copy of the first `held_length` bytes of the answer (0: none). NULL when memory is out or
 * too many are suspended. */
struct vigie_pending *flight_suspend(struct flight *flight, size_t held_length);

/* Carries a verdict out: of the link at flight->position, and of those after it. As flight_run. */
bool flight_go_on(struct flight *flight, enum vigie_verdict verdict);

/* Prepares an inner request for a query that is parsed. False when there are too many within one another, or
 * memory is out. */
bool flight_inner_begin(struct flight *inner, const struct flight *flight, enum vigie_channel channel);

/* Goes on with a suspended request that does not wait any longer for its inner one, and frees it. */
void flight_stop_waiting(struct vigie_pending *pending, vigie_lookup_done *done, void *argument);

/* Nobody is to wait for this one's end any more, nor it for another's. */
void await_forget(struct vigie_pending *pending);

#endif

#include "flight.h"

#include <stdlib.h>
#include <string.h>

#include "tcp.h"
#include "udp.h"

/* A suspended request: everything that must outlive the packet's buffer. */
struct vigie_pending {
	struct vigie_pending *next;
	struct vigie_pending *previous;
	struct worker *worker;
	struct vigie_query query; /* its packet is `packet` */
	struct origin origin;
	const struct block *block;
	size_t position;
	enum vigie_channel channel;
	unsigned depth;
	uint32_t rotation;
	uint64_t began_us;
	bool silent;

	/* The answer so far, for a request that waits for a look-up: its bytes stand behind the packet. */
	struct vigie_answer held;
	size_t held_length;

	/* A look-up: who asked, and how to go on there. */
	struct vigie_pending *parent;
	vigie_lookup_done *done;
	void *argument;

	uint8_t bytes[]; /* the packet, then the held answer */
};

size_t flight_limit(const struct vigie_query *query, enum vigie_channel channel)
{
	if (channel != VIGIE_CHANNEL_UDP)
		return VIGIE_MESSAGE_MAX;
	return query->edns_size < VIGIE_UDP_SIZE_EDNS ? query->edns_size : VIGIE_UDP_SIZE_EDNS;
}

void flight_begin(struct flight *flight, struct worker *worker, enum vigie_channel channel, uint8_t *buffer,
		  size_t limit)
{
	flight->request = (struct vigie_request){
		.query = &flight->query,
		.answer = &flight->answer,
		.worker = &worker->base,
		.client = &flight->origin.client.any,
		.local = &flight->origin.local.any,
		.channel = channel,
		.server = &flight->origin.listener->name,
		.began_us = worker->base.now_us,
	};
	flight->block = NULL;
	flight->position = 0;
	flight->suspended = NULL;
	vigie_answer_begin(&flight->answer, &flight->query, buffer, limit);
}

/* The answer is there: the directives that were passed hear of it, the last first. */
static bool answered(struct flight *flight, size_t passed)
{
	const struct block *block = flight->block;

	flight->request.link = passed;
	if (block->setup.recursive)
		flight->answer.flags |= VIGIE_FLAG_RA;
	while (passed-- > 0) {
		const struct link *link = &block->chain[passed];

		if (link->directive->answered)
			link->directive->answered(link->instance, &flight->request);
	}
	return true;
}

/* Carries a verdict out: of the link at flight->position, and of those after it. */
static bool go_on(struct flight *flight, enum vigie_verdict verdict)
{
	const struct block *block = flight->block;
	const struct link *link;

	for (;;) {
		switch (verdict) {
		case VIGIE_NEXT:
			break;
		case VIGIE_ANSWERED:
			return answered(flight, flight->position);
		case VIGIE_DROP:
			worker_of(flight->request.worker)->counters.dropped++;
			return false;
		case VIGIE_SUSPENDED:
			return false;
		}
		if (++flight->position >= block->chain_count) {
			/* Nobody on the chain answers for this name. */
			flight->position = block->chain_count;
			vigie_request_fail(&flight->request, VIGIE_RCODE_REFUSED, NULL);
			return answered(flight, block->chain_count);
		}
		link = &block->chain[flight->position];
		verdict = link->directive->serve ? link->directive->serve(link->instance, &flight->request)
						 : VIGIE_NEXT; /* it only looks at answers */
	}
}

bool flight_run(struct flight *flight)
{
	flight->block = zone_table_get(flight->origin.listener->zones, &flight->query.name);
	if (!flight->block) {
		worker_of(flight->request.worker)->counters.unserved++;
		flight->answer.rcode = VIGIE_RCODE_REFUSED;
		return true;
	}
	flight->position = SIZE_MAX; /* the one before the first */
	return go_on(flight, VIGIE_NEXT);
}

/* Suspends with a copy of the first `held_length` bytes of the answer (0: none). */
static struct vigie_pending *suspend_with(struct flight *flight, size_t held_length)
{
	struct worker *worker = worker_of(flight->request.worker);
	const struct vigie_query *query = &flight->query;
	struct vigie_pending *pending;

	if (worker->suspended >= VIGIE_SUSPENDED_MAX || !worker_scratch(worker, flight->request.depth))
		return NULL;
	pending = malloc(sizeof(*pending) + query->packet_length + held_length);
	if (!pending)
		return NULL;
	*pending = (struct vigie_pending){
		.next = worker->pendings,
		.worker = worker,
		.query = *query,
		.origin = flight->origin,
		.block = flight->block,
		.position = flight->position,
		.channel = flight->request.channel,
		.depth = flight->request.depth,
		.rotation = flight->request.rotation,
		.began_us = flight->request.began_us,
		.silent = flight->request.silent,
		.held = flight->answer,
		.held_length = held_length,
	};
	memcpy(pending->bytes, query->packet, query->packet_length);
	if (held_length > 0)
		memcpy(pending->bytes + query->packet_length, flight->answer.buffer, held_length);
	pending->query.packet = pending->bytes;
	if (worker->pendings)
		worker->pendings->previous = pending;
	worker->pendings = pending;
	worker->suspended++;
	if (pending->origin.connection)
		tcp_connection_suspended(pending->origin.connection, 1);
	flight->suspended = pending;
	return pending;
}

static struct vigie_pending *suspend(struct vigie_request *request)
{
	return suspend_with((struct flight *)request, 0);
}

static void pending_free(struct vigie_pending *pending)
{
	struct worker *worker = pending->worker;

	if (pending->next)
		pending->next->previous = pending->previous;
	if (pending->previous)
		pending->previous->next = pending->next;
	else
		worker->pendings = pending->next;
	worker->suspended--;
	if (pending->origin.connection)
		tcp_connection_suspended(pending->origin.connection, -1);
	free(pending);
}

static void cancel(struct vigie_request *request, struct vigie_pending *pending)
{
	((struct flight *)request)->suspended = NULL;
	pending_free(pending);
}

/* Makes a flight of a suspended request again, with the answer that it held. */
static void flight_restore(struct flight *flight, const struct vigie_pending *pending)
{
	uint8_t *buffer = worker_scratch(pending->worker, pending->depth); /* suspending made sure of it */

	flight->query = pending->query;
	flight->origin = pending->origin;
	flight_begin(flight, pending->worker, pending->channel, buffer,
		     flight_limit(&pending->query, pending->channel));
	flight->block = pending->block;
	flight->position = pending->position;
	flight->request.depth = pending->depth;
	flight->request.rotation = pending->rotation;
	flight->request.began_us = pending->began_us;
	flight->request.silent = pending->silent;
	if (pending->held_length > 0) {
		flight->answer = pending->held;
		flight->answer.query = &flight->query;
		flight->answer.buffer = buffer;
		memcpy(buffer, pending->bytes + pending->query.packet_length, pending->held_length);
	}
}

static void finish(struct flight *flight, const struct vigie_pending *pending, bool ready);

/* The look-up that a suspended request waits for has ended. */
static void parent_resume(const struct vigie_pending *pending, const uint8_t *reply, size_t length)
{
	struct vigie_pending *parent = pending->parent;
	struct flight flight;

	if (!parent)
		return;
	flight_restore(&flight, parent);
	finish(&flight, parent,
	       go_on(&flight, pending->done(&flight.request, reply, length, pending->argument)));
	pending_free(parent);
}

/* Sends what a resumed request came to, or hands it to who looked it up. */
static void finish(struct flight *flight, const struct vigie_pending *pending, bool ready)
{
	size_t length = ready ? vigie_answer_end(&flight->answer) : 0;

	switch (pending->channel) {
	case VIGIE_CHANNEL_UDP:
		if (ready)
			udp_send(flight->origin.udp, &flight->origin, flight->answer.buffer, length);
		return;
	case VIGIE_CHANNEL_TCP:
		if (ready && flight->origin.connection)
			tcp_send(flight->origin.connection, flight->answer.buffer, length);
		return;
	case VIGIE_CHANNEL_INTERNAL:
		if (flight->suspended) {
			/* It waits again: who looked it up goes on waiting. */
			flight->suspended->parent = pending->parent;
			flight->suspended->done = pending->done;
			flight->suspended->argument = pending->argument;
			return;
		}
		parent_resume(pending, ready ? flight->answer.buffer : NULL, length);
		return;
	}
}

static void resume(struct vigie_pending *pending, vigie_resume *resume_directive, void *argument)
{
	struct worker *worker = pending->worker;
	struct flight flight;

	worker_enter(worker);
	flight_restore(&flight, pending);
	finish(&flight, pending, go_on(&flight, resume_directive(&flight.request, argument)));
	pending_free(pending);
	worker_leave(worker);
}

static enum vigie_verdict lookup(struct vigie_request *request, const struct vigie_name *name, uint16_t type,
				 vigie_lookup_done *done, void *argument)
{
	struct flight *parent = (struct flight *)request;
	struct worker *worker = worker_of(request->worker);
	uint8_t packet[VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4 + 11];
	uint16_t flags = VIGIE_FLAG_RD | (request->query->flags & VIGIE_FLAG_CD);
	struct vigie_pending *waiting;
	struct flight child;
	uint8_t *buffer;
	size_t length;
	bool ready;

	buffer = request->depth < VIGIE_DEPTH_MAX ? worker_scratch(worker, request->depth + 1) : NULL;
	length = vigie_query_write(packet, sizeof(packet), 0, flags, name->bytes, type, VIGIE_CLASS_IN,
				   request->query->edns, request->query->edns_do);
	if (!buffer || vigie_query_parse(&child.query, packet, length) != VIGIE_GATE_OK)
		return done(request, NULL, 0, argument);
	child.origin = parent->origin;
	child.origin.connection = NULL; /* the asking request holds the way back */
	flight_begin(&child, worker, VIGIE_CHANNEL_INTERNAL, buffer, VIGIE_MESSAGE_MAX);
	child.request.depth = request->depth + 1;
	ready = flight_run(&child);
	if (ready || !child.suspended)
		return done(request, ready ? buffer : NULL, ready ? vigie_answer_end(&child.answer) : 0,
			    argument);
	waiting = suspend_with(parent, parent->answer.length);
	if (!waiting)
		return done(request, NULL, 0, argument); /* the look-up will end without anybody waiting */
	child.suspended->parent = waiting;
	child.suspended->done = done;
	child.suspended->argument = argument;
	return VIGIE_SUSPENDED;
}

const struct vigie_request_ops flight_ops = {
	.suspend = suspend,
	.cancel = cancel,
	.resume = resume,
	.lookup = lookup,
};

void flight_forget_connection(struct worker *worker, struct connection *connection)
{
	for (struct vigie_pending *pending = worker->pendings; pending; pending = pending->next) {
		if (pending->origin.connection == connection)
			pending->origin.connection = NULL;
	}
}

void flight_abandon(struct worker *worker)
{
	while (worker->pendings)
		pending_free(worker->pendings);
}

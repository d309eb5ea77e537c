#include "flight.h"

#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "notify.h"
#include "pending.h"
#include "tcp.h"
#include "udp.h"

/* Bytes that an answer may have: by UDP what the client takes, at most VIGIE_UDP_SIZE_EDNS. */
static inline size_t limit_of(const struct vigie_query *query, enum vigie_channel channel)
{
	if (channel != VIGIE_CHANNEL_UDP)
		return VIGIE_MESSAGE_MAX;
	return query->edns_size < VIGIE_UDP_SIZE_EDNS ? query->edns_size : VIGIE_UDP_SIZE_EDNS;
}

void flight_open(struct flight *flight, struct worker *worker, enum vigie_channel channel)
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
	flight->first = 0;
	flight->passed = 0;
	flight->inner = false;
}

static inline void begin(struct flight *flight, uint8_t *buffer, size_t limit)
{
	struct vigie_request *request = &flight->request;

	request->link = SIZE_MAX;
	request->deadline_us = 0;
	request->trouble = NULL;
	request->upstream = NULL;
	request->stream = NULL;
	request->trace = NULL;
	request->source = VIGIE_SOURCE_LOCAL;
	request->rotation = 0;
	request->silent = false;
	flight->position = 0;
	flight->suspended = NULL;
	vigie_answer_begin(&flight->answer, &flight->query, buffer, limit);
	flight->limit = flight->answer.limit;
}

void flight_begin(struct flight *flight, uint8_t *buffer, size_t limit)
{
	begin(flight, buffer, limit);
}

/* The answer is there: the directives that were passed hear of it, the last first. `hook` is the last of
 * them. */
static inline bool answered(struct flight *flight, size_t hook)
{
	const struct block *block = flight->block;

	if (flight->request.link == SIZE_MAX)
		flight->request.link = flight->position; /* else one behind it answered for it */
	if (block->setup.recursive)
		flight->answer.flags |= VIGIE_FLAG_RA;
	while (hook > flight->first) {
		const struct link *link = &block->chain[hook - 1];

		link->directive->answered(link->instance, &flight->request);
		hook = link->hook;
	}
	return true;
}

/* Nobody on the chain answers for this name. */
static __attribute__((noinline)) bool refuse(struct flight *flight)
{
	vigie_request_refuse(&flight->request, VIGIE_EDE_NOT_AUTHORITATIVE,
			     "no directive of the server block answers this");
	return answered(flight, flight->block->last);
}

/* Carries a verdict out that ends the walk along the chain. */
static inline bool conclude(struct flight *flight, const struct link *link, enum vigie_verdict verdict)
{
	if (verdict == VIGIE_ANSWERED)
		return answered(flight, link->hook);
	if (verdict == VIGIE_DROP)
		count_more(&worker_of(flight->request.worker)->counters.dropped, !flight->inner);
	return false;
}

/* Lets the links serve, from the given one on, until one does not say VIGIE_NEXT. `traceable`: the flight may
 * be one that is traced. */
static inline bool serve_from(struct flight *flight, size_t next, bool traceable)
{
	const struct block *block = flight->block;

	for (;;) {
		const struct link *link = &block->chain[next];
		enum vigie_verdict verdict;

		flight->position = next;
		if (next == block->chain_count)
			return refuse(flight);
		verdict = link->directive->serve(link->instance, &flight->request);
		if (traceable && flight->request.trace)
			explain_step(flight, link->directive->name, verdict);
		if (verdict != VIGIE_NEXT)
			return conclude(flight, link, verdict);
		next = link->next;
	}
}

bool flight_go_on(struct flight *flight, enum vigie_verdict verdict)
{
	const struct link *link = &flight->block->chain[flight->position];

	if (flight->request.trace && link->directive)
		explain_step(flight, link->directive->name, verdict);
	return verdict == VIGIE_NEXT ? serve_from(flight, link->next, true) : conclude(flight, link, verdict);
}

/* Whether a block with a view takes the query. */
static bool view_takes(const struct block *block, void *argument)
{
	struct flight *flight = argument;

	flight->block = block; /* its directives may be asked for metadata */
	return block->setup.view_holds(block->setup.view_argument, &flight->request);
}

/* The block that serves the query; NULL when there is none. */
static __attribute__((noinline)) const struct block *find_block(struct flight *flight)
{
	const struct zone_table *zones = flight->origin.listener->zones;
	const struct block *block = zone_table_get(zones, &flight->query.name);

	if (block && block->setup.view_holds)
		block = zone_table_select(zones, &flight->query.name, view_takes, flight);
	return block;
}

static __attribute__((noinline)) bool refuse_name(struct flight *flight)
{
	count_more(&worker_of(flight->request.worker)->counters.unserved, 1);
	flight->answer.rcode = VIGIE_RCODE_REFUSED;
	vigie_answer_explain(&flight->answer, VIGIE_EDE_NOT_AUTHORITATIVE,
			     "no server block serves this name here");
	return true;
}

static inline bool run(struct flight *flight, bool traceable)
{
	if (flight->query.class == VIGIE_CLASS_CH && explain_is_asked(flight)) {
		flight->block = &explain_block;
		flight->position = 0;
		return flight_go_on(flight, explain_serve(flight));
	}
	flight->block = flight->origin.listener->only;
	if (!flight->block)
		flight->block = find_block(flight);
	if (traceable && flight->request.trace)
		explain_enter(flight);
	if (!flight->block)
		return refuse_name(flight);
	return serve_from(flight, flight->block->first, traceable);
}

bool flight_run(struct flight *flight)
{
	return run(flight, true);
}

/* The answer to a packet that the gate turned away; returns its length, 0 when the rule is silence. */
static __attribute__((noinline)) size_t turn_away(struct flight *flight, enum vigie_gate gate,
						  const uint8_t *packet, size_t length, uint8_t *buffer,
						  size_t limit)
{
	const struct origin *origin = &flight->origin;
	size_t bytes = gate == VIGIE_GATE_OPCODE ? notify_answer(origin->listener, &origin->client, packet,
								 length, buffer, limit)
						 : 0;

	if (bytes > 0)
		return bytes;
	count_more(&worker_of(flight->request.worker)->counters.refused[gate], 1);
	return vigie_answer_refusal(&flight->query, gate, buffer, limit);
}

inline size_t flight_answer(struct flight *flight, enum vigie_channel channel, const uint8_t *packet,
			    size_t length, uint8_t *buffer)
{
	enum vigie_gate gate = vigie_query_parse(&flight->query, packet, length);

	if (gate != VIGIE_GATE_OK)
		return turn_away(flight, gate, packet, length, buffer,
				 channel == VIGIE_CHANNEL_UDP ? VIGIE_UDP_SIZE_PLAIN : VIGIE_MESSAGE_MAX);
	flight->passed++;
	begin(flight, buffer, limit_of(&flight->query, channel));
	/* A client's query is not traced: what is, `explain` asks itself. */
	return run(flight, false) ? vigie_answer_end(&flight->answer) : 0;
}

void flight_count(struct flight *flight, enum vigie_channel channel)
{
	count_more(&worker_of(flight->request.worker)->counters.queries[channel], flight->passed);
}

struct vigie_pending *flight_suspend(struct flight *flight, size_t held_length)
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
		.first = flight->first,
		.position = flight->position,
		.limit = flight->answer.limit < flight->limit ? flight->answer.limit : flight->limit,
		.channel = flight->request.channel,
		.inner = flight->inner,
		.depth = flight->request.depth,
		.rotation = flight->request.rotation,
		.began_us = flight->request.began_us,
		.deadline_us = flight->request.deadline_us,
		.trace = flight->request.trace,
		.silent = flight->request.silent,
		.background = flight->request.background,
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
	__atomic_store_n(&worker->suspended, worker->suspended + 1, __ATOMIC_RELAXED);
	if (pending->origin.connection)
		tcp_connection_suspended(pending->origin.connection, 1);
	flight->suspended = pending;
	return pending;
}

static struct vigie_pending *suspend(struct vigie_request *request)
{
	return flight_suspend((struct flight *)request, 0);
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
	__atomic_store_n(&worker->suspended, worker->suspended - 1, __ATOMIC_RELAXED);
	await_forget(pending);
	if (pending->origin.connection)
		tcp_connection_suspended(pending->origin.connection, -1);
	free(pending);
}

static void cancel(struct vigie_request *request, struct vigie_pending *pending)
{
	((struct flight *)request)->suspended = NULL;
	pending_free(pending);
}

static void on_abandon(struct vigie_pending *pending, void (*abandoned)(void *argument), void *argument)
{
	pending->abandoned = abandoned;
	pending->abandoned_argument = argument;
}

/* Makes a flight of a suspended request again, with the answer that it held. What it is answered with is cut
 * to what the client takes when it is sent: `cache` holds the whole. */
static void flight_restore(struct flight *flight, const struct vigie_pending *pending)
{
	uint8_t *buffer = worker_scratch(pending->worker, pending->depth); /* suspending made sure of it */

	flight->query = pending->query;
	flight->origin = pending->origin;
	flight_open(flight, pending->worker, pending->channel);
	flight_begin(flight, buffer, VIGIE_MESSAGE_MAX);
	flight->block = pending->block;
	flight->first = pending->first;
	flight->position = pending->position;
	flight->limit = pending->limit;
	flight->inner = pending->inner;
	flight->request.depth = pending->depth;
	flight->request.rotation = pending->rotation;
	flight->request.began_us = pending->began_us;
	flight->request.deadline_us = pending->deadline_us;
	flight->request.trace = pending->trace;
	flight->request.silent = pending->silent;
	flight->request.background = pending->background;
	if (pending->held_length > 0) {
		flight->answer = pending->held;
		flight->answer.query = &flight->query;
		flight->answer.buffer = buffer;
		memcpy(buffer, pending->bytes + pending->query.packet_length, pending->held_length);
	}
}

static void finish(struct flight *flight, struct vigie_pending *pending, bool ready);

/* What an inner request leaves to the one whose chain it served. */
static void inherit(struct vigie_request *request, const struct vigie_request *inner)
{
	request->link = inner->link;
	request->trouble = inner->trouble;
	request->upstream = inner->upstream;
	request->silent |= inner->silent;
	request->source = inner->source;
}

static void inherit_explanation(struct vigie_answer *answer, const struct vigie_answer *inner)
{
	if (answer->ede == VIGIE_EDE_NONE)
		vigie_answer_explain(answer, (enum vigie_ede)inner->ede, inner->ede_text);
}

/* An inner request has ended: the one that asked goes on. `length` is 0 when there is no answer. */
static enum vigie_verdict tell(struct flight *flight, const struct flight *inner, bool passed,
			       vigie_lookup_done *done, size_t length, void *argument)
{
	const uint8_t *reply = length > 0 ? inner->answer.buffer : NULL;
	enum vigie_verdict verdict;

	if (!passed)
		return done(&flight->request, reply, length, argument);
	if (!reply)
		return VIGIE_DROP; /* a directive behind it said so */
	inherit(&flight->request, &inner->request);
	verdict = done(&flight->request, reply, length, argument);
	if (verdict == VIGIE_ANSWERED)
		inherit_explanation(&flight->answer, &inner->answer);
	return verdict;
}

/* The inner request that a suspended one waits for has ended. */
static void parent_resume(struct vigie_pending *pending, const struct flight *inner, size_t length)
{
	struct vigie_pending *parent = pending->parent;
	struct flight flight;

	if (!parent)
		return;
	pending->parent = NULL; /* it goes first */
	await_forget(parent);
	flight_restore(&flight, parent);
	finish(&flight, parent,
	       flight_go_on(&flight,
			    tell(&flight, inner, pending->passed, pending->done, length, pending->argument)));
	pending_free(parent);
}

/* Hands the rest of an answer of many messages over; its connection may be gone. */
static void finish_stream(struct flight *flight)
{
	struct vigie_stream *stream = flight->request.stream;

	if (!stream)
		return;
	if (flight->origin.connection)
		tcp_stream(flight->origin.connection, stream, &flight->query);
	else
		stream->free(stream);
}

void flight_stop_waiting(struct vigie_pending *pending, vigie_lookup_done *done, void *argument)
{
	struct flight flight;

	flight_restore(&flight, pending);
	finish(&flight, pending, flight_go_on(&flight, done(&flight.request, NULL, 0, argument)));
	pending_free(pending);
}

/* Whether the answer comes when nobody waits for it any more. A transfer goes on for as long as it takes. */
static bool is_late(const struct flight *flight)
{
	const struct vigie_request *request = &flight->request;

	return request->deadline_us > 0 && request->worker->now_us > request->deadline_us && !request->stream;
}

/* Sends what a resumed request came to, or hands it to who asked it. */
static void finish(struct flight *flight, struct vigie_pending *pending, bool ready)
{
	size_t length = 0;

	if (ready) {
		vigie_answer_cut(&flight->answer, flight->limit);
		length = vigie_answer_end(&flight->answer);
	}
	if (pending->inner) {
		if (flight->suspended) {
			/* It waits again: who asked goes on waiting. */
			flight->suspended->passed = pending->passed;
			flight->suspended->parent = pending->parent;
			flight->suspended->done = pending->done;
			flight->suspended->argument = pending->argument;
			if (pending->parent)
				pending->parent->child = flight->suspended;
			return;
		}
		parent_resume(pending, flight, length);
		return;
	}
	if (!ready)
		return;
	if (is_late(flight)) {
		count_more(&pending->worker->counters.dropped, 1);
		return;
	}
	if (pending->channel == VIGIE_CHANNEL_UDP)
		udp_send(flight->origin.udp, &flight->origin, flight->answer.buffer, length);
	else if (flight->origin.connection)
		tcp_send(flight->origin.connection, flight->answer.buffer, length);
	finish_stream(flight);
}

static void resume(struct vigie_pending *pending, vigie_resume *resume_directive, void *argument)
{
	struct worker *worker = pending->worker;
	struct flight flight;

	worker_enter(worker);
	flight_restore(&flight, pending);
	finish(&flight, pending, flight_go_on(&flight, resume_directive(&flight.request, argument)));
	pending_free(pending);
	worker_leave(worker);
}

bool flight_inner_begin(struct flight *inner, const struct flight *flight, enum vigie_channel channel)
{
	struct worker *worker = worker_of(flight->request.worker);
	unsigned depth = flight->request.depth + 1;
	uint8_t *buffer = depth <= VIGIE_DEPTH_MAX ? worker_scratch(worker, depth) : NULL;

	if (!buffer)
		return false;
	inner->origin = flight->origin;
	inner->origin.connection = NULL; /* the asking request holds the way back */
	flight_open(inner, worker, channel);
	flight_begin(inner, buffer, VIGIE_MESSAGE_MAX);
	inner->inner = true;
	inner->request.depth = depth;
	inner->request.trace = flight->request.trace;
	return true;
}

/* The trace is gone before the requests that wrote it. */
static void forget_trace(struct worker *worker, const struct vigie_trace *trace)
{
	for (struct vigie_pending *pending = worker->pendings; trace && pending; pending = pending->next) {
		if (pending->trace == trace)
			pending->trace = NULL;
	}
}

/* Tells the asking request of the end of an inner one, or lets it wait for that. */
static enum vigie_verdict inner_end(struct flight *flight, struct flight *inner, bool ready, bool passed,
				    vigie_lookup_done *done, void *argument)
{
	struct vigie_pending *waiting;

	if (ready || !inner->suspended)
		return tell(flight, inner, passed, done, ready ? vigie_answer_end(&inner->answer) : 0,
			    argument);
	waiting = flight_suspend(flight, flight->answer.length);
	if (!waiting) {
		/* The inner one will end without anybody waiting. */
		forget_trace(worker_of(flight->request.worker), flight->request.trace);
		return done(&flight->request, NULL, 0, argument);
	}
	inner->suspended->passed = passed;
	inner->suspended->parent = waiting;
	waiting->child = inner->suspended; /* whichever of the two goes first takes itself out of the other */
	inner->suspended->done = done;
	inner->suspended->argument = argument;
	return VIGIE_SUSPENDED;
}

static enum vigie_verdict lookup(struct vigie_request *request, const struct vigie_name *name, uint16_t type,
				 vigie_lookup_done *done, void *argument)
{
	struct flight *flight = (struct flight *)request;
	uint8_t packet[VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4 + 11];
	uint16_t flags = VIGIE_FLAG_RD | (request->query->flags & VIGIE_FLAG_CD);
	struct flight inner;
	size_t length;

	length = vigie_query_write(packet, sizeof(packet), 0, flags, name->bytes, type, VIGIE_CLASS_IN,
				   request->query->edns, request->query->edns_do);
	if (vigie_query_parse(&inner.query, packet, length) != VIGIE_GATE_OK ||
	    !flight_inner_begin(&inner, flight, VIGIE_CHANNEL_INTERNAL))
		return done(request, NULL, 0, argument);
	return inner_end(flight, &inner, flight_run(&inner), false, done, argument);
}

static enum vigie_verdict pass(struct vigie_request *request, const struct vigie_query *query,
			       vigie_lookup_done *done, void *argument)
{
	struct flight *flight = (struct flight *)request;
	struct flight inner;

	inner.query = *query;
	if (!flight_inner_begin(&inner, flight, request->channel))
		return done(request, NULL, 0, argument);
	inner.block = flight->block;
	inner.position = flight->position;
	inner.first = flight->position + 1;
	inner.request.rotation = request->rotation;
	return inner_end(flight, &inner, flight_go_on(&inner, VIGIE_NEXT), true, done, argument);
}

static bool metadata(struct vigie_request *request, const char *label, char *value)
{
	const struct flight *flight = (struct flight *)request;
	const struct vigie_block *setup = &flight->block->setup;
	const char *slash = strchr(label, '/');
	bool asks = false;

	for (size_t i = 0; i < setup->metadata_zone_count && !asks; i++)
		asks = vigie_name_is_below(&request->query->name, &setup->metadata_zones[i]);
	if (!asks || !slash)
		return false;
	for (size_t i = 0; i < flight->block->link_count; i++) {
		const struct link *link = &flight->block->links[i];
		size_t length = strlen(link->directive->name);

		if (link->directive->metadata && (size_t)(slash - label) == length &&
		    memcmp(link->directive->name, label, length) == 0)
			return link->directive->metadata(link->instance, request, slash + 1, value);
	}
	return false;
}

const struct vigie_request_ops flight_ops = {
	.suspend = suspend,
	.cancel = cancel,
	.on_abandon = on_abandon,
	.resume = resume,
	.lookup = lookup,
	.metadata = metadata,
	.pass = pass,
	.background = await_background,
	.await = await_rest,
};

void flight_forget_connection(struct worker *worker, struct connection *connection)
{
	for (struct vigie_pending *pending = worker->pendings; pending; pending = pending->next) {
		if (pending->origin.connection == connection)
			pending->origin.connection = NULL;
	}
}

bool flight_is_used(const struct worker *worker, const struct vigie_process *process)
{
	for (const struct vigie_pending *pending = worker->pendings; pending; pending = pending->next) {
		if (pending->block && pending->block->setup.process != process)
			return true;
	}
	return false;
}

void flight_abandon(struct worker *worker)
{
	while (worker->pendings) {
		struct vigie_pending *pending = worker->pendings;

		if (pending->block == &explain_block)
			free(pending->trace);
		if (pending->abandoned)
			pending->abandoned(pending->abandoned_argument);
		pending_free(pending);
	}
}

/* A worker's part of the forwarder: runs exchanges on its loop, and hands replies to those who wait there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datagram.h"
#include "doh.h"
#include "inflight.h"
#include "stream.h"
#include "vigie/answer.h"
#include "vigie/clock.h"
#include "vigie/record.h"

enum {
	SPARE_MAX = 256,      /* exchanges that have ended whose memory is kept for the next ones: 1 MiB */
	PARCELS_A_TURN = 128, /* waiters that hear before the loop's other handles have their turn */
};

/* Waiters by age. */
struct queue {
	struct waiter *oldest;
	struct waiter *youngest;
};

/* An exchange on this loop, or the memory of one that has ended. */
struct running {
	struct running *next;
	struct running *previous;
	unsigned ended; /* how many have, in this memory */
	struct vigie_exchanger *exchanger;
	struct inflight *entry;
	struct exchange exchange;
	uv_timer_t timer;
};

struct vigie_exchanger {
	uv_loop_t *loop;
	uv_timer_t hurry;   /* when the oldest impatient waiter gets an answer anyway */
	uv_async_t parcels; /* another thread put some into the box */
	unsigned handles;   /* that the loop has not closed yet; the memory goes with the last */
	bool closing;
	struct running *running;
	size_t running_count;
	struct running *spare;
	size_t spare_count;
	uint64_t begun;
	uint64_t refused; /* since there were too many */
	size_t allowed;   /* to be begun; SIZE_MAX: any number */
	struct queue impatient;
	struct queue patient;
	struct vigie_turn turn;
	struct datagrams *datagrams;
	struct streams streams;
	struct doh doh;
	pthread_mutex_t lock;   /* of the box */
	struct waiter *box;     /* those with a parcel, the last first */
	struct waiter *arrived; /* taken out of the box, the first first; the thread's own */
	struct waiter **arrived_end;
	char trouble[TROUBLE_MAX];
};

static int net_send(void *net, struct attempt *attempt, bool again)
{
	struct vigie_exchanger *exchanger = net;

	switch (attempt->protocol) {
	case VIGIE_PROTOCOL_UDP:
		return datagram_send(exchanger->datagrams, attempt);
	case VIGIE_PROTOCOL_HTTPS:
		return doh_send(&exchanger->doh, attempt, again);
	default:
		return stream_send(&exchanger->streams, attempt, again);
	}
}

static void net_drop(void *net, struct attempt *attempt)
{
	switch (attempt->protocol) {
	case VIGIE_PROTOCOL_UDP:
		datagram_drop(attempt);
		break;
	case VIGIE_PROTOCOL_HTTPS:
		doh_drop(attempt);
		break;
	default:
		stream_drop(attempt);
	}
}

static void on_due(uv_timer_t *timer)
{
	struct running *running = timer->data;
	struct exchange *exchange = &running->exchange;
	unsigned ended = running->ended;

	/* A process that had to wait for its CPU finds time-outs that are over and replies that came in time.
	 */
	for (size_t i = 0; i < exchange->count && running->ended == ended; i++) {
		struct attempt *attempt = &exchange->attempts[i];

		if (attempt->handle && attempt->protocol == VIGIE_PROTOCOL_UDP)
			datagram_read(attempt);
	}
	if (running->ended == ended)
		exchange_due(exchange);
}

static void net_wake(void *net, struct exchange *exchange, uint64_t at_us)
{
	struct running *running = (struct running *)((char *)exchange - offsetof(struct running, exchange));
	uint64_t now = vigie_clock_us();

	if (exchange->trouble[0])
		inflight_set_trouble(running->entry, exchange->trouble);
	uv_update_time(running->exchanger->loop);
	uv_timer_start(&running->timer, on_due, at_us > now ? (at_us - now + 999) / 1000 : 0, 0);
}

static const struct net real_net = {.send = net_send, .drop = net_drop, .wake = net_wake};

static void queue_append(struct queue *queue, struct waiter *waiter)
{
	waiter->earlier = queue->youngest;
	waiter->later = NULL;
	if (queue->youngest)
		queue->youngest->later = waiter;
	else
		queue->oldest = waiter;
	queue->youngest = waiter;
}

static void queue_remove(struct queue *queue, struct waiter *waiter)
{
	if (waiter->later)
		waiter->later->earlier = waiter->earlier;
	else
		queue->youngest = waiter->earlier;
	if (waiter->earlier)
		waiter->earlier->later = waiter->later;
	else
		queue->oldest = waiter->later;
}

static void waiter_free(struct waiter *waiter)
{
	struct vigie_exchanger *exchanger = waiter->exchanger;

	queue_remove(waiter->patient ? &exchanger->patient : &exchanger->impatient, waiter);
	inflight_discharge(waiter->bucket);
	atomic_fetch_sub(&waiter->group->waiting, 1);
	upstreams_release(waiter->group);
	parcel_release(waiter->parcel);
	free(waiter);
}

static void waiter_finish(struct waiter *waiter, const struct vigie_outcome *outcome)
{
	waiter->done(waiter->argument, outcome);
	waiter_free(waiter);
}

/* Puts a parcel into its waiter's box. Any thread, behind the entry's lock. */
static void deliver(struct waiter *waiter, struct parcel *parcel)
{
	struct vigie_exchanger *exchanger = waiter->exchanger;
	bool first;

	if (parcel)
		atomic_fetch_add(&parcel->references, 1);
	pthread_mutex_lock(&exchanger->lock);
	waiter->parcel = parcel;
	first = exchanger->box == NULL;
	waiter->next = exchanger->box;
	exchanger->box = waiter;
	if (first)
		uv_async_send(&exchanger->parcels);
	pthread_mutex_unlock(&exchanger->lock);
}

/* Takes the box's waiters over, in the order in which they were put in, behind those that are there. */
static void empty_box(struct vigie_exchanger *exchanger)
{
	struct waiter *list = NULL;
	struct waiter *last;
	struct waiter *box;

	pthread_mutex_lock(&exchanger->lock);
	box = last = exchanger->box;
	exchanger->box = NULL;
	pthread_mutex_unlock(&exchanger->lock);
	while (box) {
		struct waiter *next = box->next;

		box->next = list;
		list = box;
		box = next;
	}
	if (!exchanger->arrived)
		exchanger->arrived_end = &exchanger->arrived;
	*exchanger->arrived_end = list;
	if (last)
		exchanger->arrived_end = &last->next;
}

/* Hands parcels out: some now, the rest in the loop's next turn. */
static void hand_out(struct vigie_exchanger *exchanger)
{
	static const struct vigie_outcome no_memory = {.status = VIGIE_ENOMEM, .trouble = "out of memory"};

	empty_box(exchanger); /* always: who puts something in rings once, while it is empty */
	for (int i = 0; i < PARCELS_A_TURN && exchanger->arrived; i++) {
		struct waiter *waiter = exchanger->arrived;

		exchanger->arrived = waiter->next;
		waiter_finish(waiter, waiter->parcel ? &waiter->parcel->outcome : &no_memory);
	}
	if (exchanger->arrived)
		uv_async_send(&exchanger->parcels);
}

static void on_parcels(uv_async_t *async)
{
	struct vigie_exchanger *exchanger = async->data;

	exchanger->turn.enter(exchanger->turn.argument);
	hand_out(exchanger);
	exchanger->turn.leave(exchanger->turn.argument);
}

static void on_running_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* Gives an exchange back that has ended, or is to end. */
static void running_free(struct running *running)
{
	struct vigie_exchanger *exchanger = running->exchanger;

	if (running->next)
		running->next->previous = running->previous;
	if (running->previous)
		running->previous->next = running->next;
	else
		exchanger->running = running->next;
	exchanger->running_count--;
	atomic_fetch_sub(&running->exchange.set->group->under_way, 1);
	exchange_fini(&running->exchange);
	running->ended++;
	uv_timer_stop(&running->timer);
	if (exchanger->closing || exchanger->spare_count == SPARE_MAX) {
		uv_close((uv_handle_t *)&running->timer, on_running_closed);
		return;
	}
	running->next = exchanger->spare;
	exchanger->spare = running;
	exchanger->spare_count++;
}

/* Memory for one more exchange; NULL when there is none, or too many are under way. */
static struct running *running_new(struct vigie_exchanger *exchanger)
{
	struct running *running = exchanger->spare;

	if (exchanger->running_count >= VIGIE_EXCHANGES_MAX || exchanger->allowed == 0) {
		exchanger->refused++;
		return NULL;
	}
	if (running) {
		exchanger->spare = running->next;
		exchanger->spare_count--;
	} else {
		running = malloc(sizeof(*running));
		if (!running)
			return NULL;
		uv_timer_init(exchanger->loop, &running->timer);
		running->timer.data = running;
		running->ended = 0;
		running->exchanger = exchanger;
	}
	exchanger->begun++;
	exchanger->allowed -= exchanger->allowed != SIZE_MAX;
	memset(&running->exchange, 0, offsetof(struct exchange, attempts));
	running->previous = NULL;
	running->next = exchanger->running;
	if (running->next)
		running->next->previous = running;
	exchanger->running = running;
	exchanger->running_count++;
	return running;
}

static void finish_entry(struct inflight *entry, const struct vigie_outcome *outcome)
{
	struct parcel *parcel = parcel_new(outcome);

	inflight_end(entry, parcel, deliver);
	parcel_release(parcel);
}

static void on_done(struct exchange *exchange, const struct vigie_outcome *outcome)
{
	struct running *running = (struct running *)((char *)exchange - offsetof(struct running, exchange));
	struct vigie_exchanger *exchanger = running->exchanger;

	finish_entry(running->entry, outcome);
	running_free(running);
	if (!exchanger->closing)
		hand_out(exchanger); /* ours need not wait for the loop's next turn */
}

static void on_hurry(uv_timer_t *timer);

static void set_hurry(struct vigie_exchanger *exchanger)
{
	struct waiter *oldest = exchanger->impatient.oldest;
	uint64_t now = vigie_clock_ms();
	uint64_t at;

	if (!oldest || uv_is_active((uv_handle_t *)&exchanger->hurry))
		return;
	at = oldest->start_ms + VIGIE_CLIENT_WAIT_MS;
	uv_update_time(exchanger->loop);
	uv_timer_start(&exchanger->hurry, on_hurry, at > now ? at - now : 0, 0);
}

/* Clients by UDP are not let down by silence, and nobody can pile replies up to have them sent at once to
 * somebody else's address (CVE-2024-33655): they get an error early enough to ask again, and find the same
 * exchange still under way. */
static void on_hurry(uv_timer_t *timer)
{
	struct vigie_exchanger *exchanger = timer->data;
	uint64_t now = vigie_clock_ms();
	struct waiter *next;

	for (struct waiter *waiter = exchanger->impatient.oldest;
	     waiter && now - waiter->start_ms >= VIGIE_CLIENT_WAIT_MS; waiter = next) {
		char trouble[TROUBLE_MAX];
		struct vigie_outcome outcome = {.status = VIGIE_ETIMEOUT,
						.info = VIGIE_EDE_NO_REACHABLE_AUTHORITY,
						.trouble = trouble};

		next = waiter->later;
		if (!inflight_leave(waiter, trouble)) {
			/* Its parcel is on the way: there is no more hurry. */
			queue_remove(&exchanger->impatient, waiter);
			waiter->patient = true;
			queue_append(&exchanger->patient, waiter);
			continue;
		}
		waiter_finish(waiter, &outcome);
	}
	set_hurry(exchanger);
}

static void no_turn(void *argument)
{
}

struct vigie_exchanger *vigie_exchanger_new(uv_loop_t *loop, const struct vigie_turn *turn)
{
	static const struct vigie_turn none = {.enter = no_turn, .leave = no_turn};
	struct vigie_exchanger *exchanger = calloc(1, sizeof(*exchanger));

	if (!exchanger)
		return NULL;
	exchanger->loop = loop;
	exchanger->streams.loop = exchanger->doh.loop = loop;
	exchanger->turn = turn ? *turn : none;
	exchanger->allowed = SIZE_MAX;
	exchanger->datagrams = datagrams_new(loop, &exchanger->turn);
	if (!exchanger->datagrams || uv_async_init(loop, &exchanger->parcels, on_parcels)) {
		free(exchanger->datagrams);
		free(exchanger);
		return NULL;
	}
	uv_timer_init(loop, &exchanger->hurry);
	exchanger->parcels.data = exchanger->hurry.data = exchanger;
	exchanger->handles = 2;
	pthread_mutex_init(&exchanger->lock, NULL);
	return exchanger;
}

uint64_t vigie_exchanger_refused(const struct vigie_exchanger *exchanger)
{
	return exchanger->refused;
}

uint64_t vigie_exchanger_begun(const struct vigie_exchanger *exchanger)
{
	return exchanger->begun;
}

void vigie_exchanger_allow(struct vigie_exchanger *exchanger, size_t questions)
{
	exchanger->allowed = questions;
}

static void on_exchanger_closed(uv_handle_t *handle)
{
	struct vigie_exchanger *exchanger = handle->data;

	if (--exchanger->handles > 0)
		return;
	pthread_mutex_destroy(&exchanger->lock);
	free(exchanger);
}

/* All who wait here hear of the end; then nobody else knows of this exchanger. */
static void dismiss(struct vigie_exchanger *exchanger, struct queue *queue)
{
	static const struct vigie_outcome stopping = {.status = VIGIE_EIO,
						      .trouble = "the server is stopping"};
	char trouble[TROUBLE_MAX];

	while (queue->oldest) {
		inflight_leave(queue->oldest, trouble);
		waiter_finish(queue->oldest, &stopping);
	}
}

void vigie_exchanger_close(struct vigie_exchanger *exchanger)
{
	static const struct vigie_outcome stopping = {.status = VIGIE_EIO,
						      .trouble = "the server is stopping"};

	exchanger->closing = true;
	while (exchanger->running) {
		finish_entry(exchanger->running->entry, &stopping);
		running_free(exchanger->running);
	}
	while (exchanger->spare) {
		struct running *running = exchanger->spare;

		exchanger->spare = running->next;
		uv_close((uv_handle_t *)&running->timer, on_running_closed);
	}
	dismiss(exchanger, &exchanger->impatient);
	dismiss(exchanger, &exchanger->patient);
	datagrams_close(exchanger->datagrams);
	streams_close(&exchanger->streams);
	doh_close(&exchanger->doh);
	uv_close((uv_handle_t *)&exchanger->parcels, on_exchanger_closed);
	uv_close((uv_handle_t *)&exchanger->hurry, on_exchanger_closed);
}

static enum vigie_status refuse(struct vigie_outcome *outcome, enum vigie_status status, uint16_t info,
				const char *trouble)
{
	*outcome = (struct vigie_outcome){.status = status, .info = info, .trouble = trouble};
	return status;
}

/* Everybody is given up. Says who they are. */
static enum vigie_status refuse_all_down(struct vigie_exchanger *exchanger, const struct upstream_set *set,
					 struct vigie_outcome *outcome)
{
	size_t at = 0;

	exchanger->trouble[0] = 0;
	for (size_t i = 0; set && i < set->count && at < sizeof(exchanger->trouble); i++)
		at += (size_t)snprintf(exchanger->trouble + at, sizeof(exchanger->trouble) - at, "%s%s",
				       at > 0 ? ", " : "", set->list[i]->target.text);
	if (at < sizeof(exchanger->trouble))
		snprintf(exchanger->trouble + at, sizeof(exchanger->trouble) - at, "%s",
			 at > 0 ? ": no reply for some time, being probed" : "no upstream is known");
	return refuse(outcome, VIGIE_EIO, VIGIE_EDE_NO_REACHABLE_AUTHORITY, exchanger->trouble);
}

/* The first to ask this: asks the upstreams. Takes the reference to `set`, also when it fails. */
static enum vigie_status run(struct vigie_exchanger *exchanger, struct inflight *entry,
			     struct upstream_set *set, const struct question *question, bool tcp)
{
	struct running *running = running_new(exchanger);

	if (!running) {
		upstream_set_release(set);
		return VIGIE_ENOSPC;
	}
	running->entry = entry;
	atomic_fetch_add(&set->group->under_way, 1);
	exchange_start(&running->exchange, &real_net, exchanger, set, question, tcp, on_done);
	return VIGIE_OK;
}

/* A waiter that is in no list yet; NULL when memory is out. */
static struct waiter *waiter_new(struct vigie_exchanger *exchanger, struct vigie_upstreams *group,
				 const struct vigie_asker *asker, uint32_t bucket, vigie_exchange_done *done,
				 void *argument)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter) {
		inflight_discharge(bucket);
		return NULL;
	}
	waiter->exchanger = exchanger;
	waiter->group = upstreams_hold(group);
	atomic_fetch_add(&group->waiting, 1);
	waiter->bucket = bucket;
	waiter->patient = asker->patient;
	waiter->start_ms = vigie_clock_ms();
	waiter->done = done;
	waiter->argument = argument;
	queue_append(waiter->patient ? &exchanger->patient : &exchanger->impatient, waiter);
	return waiter;
}

/* The client's options are its own affair, unless a directive says otherwise. */
static void copy_options(struct question *question, const struct vigie_query *query)
{
	const uint8_t *options;
	size_t length = query->forward_options ? vigie_query_options(query, &options) : 0;

	if (length == 0 || length > sizeof(question->options))
		return;
	memcpy(question->options, options, length);
	question->options_length = (uint8_t)length;
}

enum vigie_status vigie_exchange_start(struct vigie_exchanger *exchanger, struct vigie_upstreams *group,
				       const struct vigie_query *query, const struct vigie_asker *asker,
				       vigie_exchange_done *done, void *argument,
				       struct vigie_outcome *outcome)
{
	static const struct vigie_outcome full = {
		.status = VIGIE_ENOSPC, .info = VIGIE_EDE_OTHER, .trouble = "too many questions under way"};
	struct question question = {.name = query->name,
				    .type = query->type,
				    .rd = (query->flags & VIGIE_FLAG_RD) != 0,
				    .edns_do = query->edns_do,
				    .cd = (query->flags & VIGIE_FLAG_CD) != 0};
	struct upstream_set *set = upstream_set_get(group);
	struct waiter *waiter;
	uint32_t bucket;
	char trouble[TROUBLE_MAX];
	enum inflight_place place;

	copy_options(&question, query);
	if (!set || !upstream_set_up(set, SIZE_MAX)) {
		atomic_fetch_add_explicit(&group->down, 1, memory_order_relaxed);
		refuse_all_down(exchanger, set, outcome);
		goto fail;
	}
	if (exchanger->closing || !inflight_admit(asker->client, &bucket)) {
		refuse(outcome, VIGIE_ENOSPC, VIGIE_EDE_OTHER, "too many questions of this client wait");
		goto fail;
	}
	waiter = waiter_new(exchanger, group, asker, bucket, done, argument);
	if (!waiter) {
		refuse(outcome, VIGIE_ENOMEM, VIGIE_EDE_OTHER, "out of memory");
		goto fail;
	}
	place = inflight_join(waiter, group, &question);
	if (place == INFLIGHT_NO_MEMORY) {
		waiter_free(waiter);
		refuse(outcome, VIGIE_ENOMEM, VIGIE_EDE_OTHER, "out of memory");
		goto fail;
	}
	if (place == INFLIGHT_JOINED) {
		upstream_set_release(set);
	} else {
		struct inflight *entry = waiter->entry; /* stays until this thread ends it */

		if (run(exchanger, entry, set, &question, asker->tcp)) {
			inflight_leave(waiter, trouble);
			waiter_free(waiter);
			finish_entry(entry, &full); /* others may have joined meanwhile */
			*outcome = full;
			return full.status;
		}
	}
	set_hurry(exchanger);
	return VIGIE_OK;

fail:
	upstream_set_release(set);
	return outcome->status;
}

/* The rest of a chain, run without the client: in the background, or for a request that does not wait for
 * ever. */
#include "pending.h"
#include "vigie/clock.h"

enum {
	AWAITING_A_TURN = 128 /* that wait no longer before the loop's other handles have their turn */
};

/* Runs the chain behind the calling directive, which hears of the answer. */
static bool run_rest(struct flight *inner, const struct flight *flight)
{
	inner->request.trace = NULL; /* this may go on for longer than the request that is traced */
	inner->request.background = true;
	inner->block = flight->block;
	inner->first = flight->position;
	inner->position = flight->position;
	return flight_go_on(inner, VIGIE_NEXT);
}

bool await_background(struct vigie_request *request)
{
	struct flight inner = {.query = *request->query};

	if (!flight_inner_begin(&inner, (struct flight *)request, VIGIE_CHANNEL_INTERNAL))
		return false;
	run_rest(&inner, (struct flight *)request);
	return true;
}

static void on_time(uv_timer_t *timer);

static void set_timer(struct worker *worker)
{
	uint64_t now = vigie_clock_ms();
	uint64_t until;

	if (!worker->awaiting) {
		uv_timer_stop(&worker->await);
		return;
	}
	until = worker->awaiting->wait_until_ms;
	uv_update_time(&worker->loop); /* libuv counts from when it last looked */
	uv_timer_start(&worker->await, on_time, until > now ? until - now : 0, 0);
}

/* Where the list holds this one: in the one before it, or as the first; in the one behind it, or as the last.
 */
static struct vigie_pending **place_before(struct vigie_pending *pending)
{
	return pending->sooner ? &pending->sooner->later : &pending->worker->awaiting;
}

static struct vigie_pending **place_behind(struct vigie_pending *pending)
{
	return pending->later ? &pending->later->sooner : &pending->worker->awaiting_last;
}

void await_forget(struct vigie_pending *pending)
{
	if (pending->child)
		pending->child->parent = NULL;
	pending->child = NULL;
	if (pending->parent && pending->parent->child == pending)
		pending->parent->child = NULL;
	if (pending->wait_until_ms == 0)
		return;
	*place_before(pending) = pending->later;
	*place_behind(pending) = pending->sooner;
	pending->wait_until_ms = 0;
}

/* Those whose time is over get no answer; what they waited for goes on. */
static void on_time(uv_timer_t *timer)
{
	struct worker *worker = timer->data;

	worker_enter(worker);
	for (int i = 0; i < AWAITING_A_TURN && worker->awaiting &&
			worker->awaiting->wait_until_ms <= worker->base.now_ms;
	     i++) {
		struct vigie_pending *pending = worker->awaiting;
		vigie_lookup_done *done = pending->child->done;
		void *argument = pending->child->argument;

		await_forget(pending);
		flight_stop_waiting(pending, done, argument);
	}
	set_timer(worker);
	worker_leave(worker);
}

/* Nearly all wait equally long, so the place is found from the end at once. */
static void wait_until(struct vigie_pending *pending, uint64_t until_ms)
{
	struct worker *worker = pending->worker;

	pending->wait_until_ms = until_ms;
	pending->sooner = worker->awaiting_last;
	pending->later = NULL;
	while (pending->sooner && pending->sooner->wait_until_ms > until_ms) {
		pending->later = pending->sooner;
		pending->sooner = pending->sooner->sooner;
	}
	*place_before(pending) = pending;
	*place_behind(pending) = pending;
	if (worker->awaiting == pending)
		set_timer(worker);
}

enum vigie_verdict await_rest(struct vigie_request *request, uint32_t timeout_ms, vigie_lookup_done *done,
			      void *argument)
{
	struct flight *flight = (struct flight *)request;
	struct flight inner = {.query = *request->query};
	struct vigie_pending *waiting;
	bool ready;

	if (!flight_inner_begin(&inner, flight, VIGIE_CHANNEL_INTERNAL))
		return done(request, NULL, 0, argument);
	ready = run_rest(&inner, flight);
	if (ready || !inner.suspended)
		return done(request, ready ? inner.answer.buffer : NULL,
			    ready ? vigie_answer_end(&inner.answer) : 0, argument);
	waiting = flight_suspend(flight, 0);
	if (!waiting)
		return done(request, NULL, 0, argument); /* the rest will end without anybody waiting */
	waiting->child = inner.suspended;
	inner.suspended->parent = waiting;
	inner.suspended->done = done;
	inner.suspended->argument = argument;
	if (timeout_ms > 0)
		wait_until(waiting, request->worker->now_ms + timeout_ms);
	return VIGIE_SUSPENDED;
}

void await_init(struct worker *worker)
{
	uv_timer_init(&worker->loop, &worker->await);
	worker->await.data = worker;
}

void await_close(struct worker *worker)
{
	uv_close((uv_handle_t *)&worker->await, NULL);
}

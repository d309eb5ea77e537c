#include "worker.h"

#include <stdlib.h>
#include <urcu-qsbr.h>

#include "flight.h"
#include "handover.h"
#include "tcp.h"
#include "udp.h"
#include "vigie/clock.h"
#include "vigie/forward.h"
#include "vigie/thread.h"

enum { TICK_MS = 1000, DRAIN_TICK_MS = 10, RETIRE_TICK_MS = 5 };

/* 0.01 is what is promised. */
const double turn_bounds[TURN_BOUNDS] = {0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.01,
					 0.016,   0.032,  0.064, 0.128, 0.256, 0.512};

static void read_clock(struct worker *worker)
{
	worker->base.now_us = vigie_clock_us();
	worker->base.now_ms = worker->base.now_us / 1000;
}

void worker_next_batch(struct worker *worker)
{
	uint64_t began_us = worker->base.now_us;

	read_clock(worker);
	while (worker->base.deferred) {
		struct vigie_deferred *deferred = worker->base.deferred;

		worker->base.deferred = deferred->next;
		deferred->waits = false;
		deferred->run(deferred, began_us, worker->base.now_us);
	}
}

static void count_turn(struct turns *turns, uint64_t us)
{
	double seconds = (double)us / 1e6;
	size_t at = 0;

	while (at < TURN_BOUNDS && seconds > turn_bounds[at])
		at++;
	count_more(&turns->counts[at], 1);
	count_more(&turns->sum_us, us);
}

void worker_enter(struct worker *worker)
{
	if (worker->online++ > 0)
		return;
	rcu_thread_online();
	read_clock(worker);
	worker->turn_us = worker->base.now_us;
}

void worker_leave(struct worker *worker)
{
	if (--worker->online > 0)
		return;
	udp_flush(worker);
	worker_next_batch(worker);
	count_turn(&worker->turns, worker->base.now_us - worker->turn_us);
	rcu_thread_offline();
}

uint8_t *worker_scratch(struct worker *worker, unsigned depth)
{
	if (!worker->scratch[depth])
		worker->scratch[depth] = malloc(VIGIE_MESSAGE_MAX);
	return worker->scratch[depth];
}

/* The end: nothing is read any more; what was suspended is abandoned. */
static void close_all(struct worker *worker)
{
	if (worker->base.exchanger)
		vigie_exchanger_close(worker->base.exchanger);
	tcp_close_connections(worker, true); /* first: none is to serve more when its suspended queries go */
	flight_abandon(worker);
	while (worker->udp_sockets) {
		struct udp_socket *next = worker->udp_sockets->next;

		udp_close(worker->udp_sockets);
		worker->udp_sockets = next;
	}
	while (worker->tcp_listeners) {
		struct tcp_listener *next = tcp_next(worker->tcp_listeners);

		tcp_close(worker->tcp_listeners);
		worker->tcp_listeners = next;
	}
	uv_close((uv_handle_t *)&worker->tick, NULL);
	await_close(worker);
	uv_close((uv_handle_t *)&worker->stop, NULL);
	uv_close((uv_handle_t *)&worker->change, NULL);
	uv_close((uv_handle_t *)&worker->retire, NULL);
}

/* What others count for the worker. */
static void count_refused(struct worker *worker)
{
	for (struct udp_socket *udp = worker->udp_sockets; udp; udp = udp->next)
		udp_count_unread(udp);
	__atomic_store_n(&worker->counters.refused_upstream, vigie_exchanger_refused(worker->base.exchanger),
			 __ATOMIC_RELAXED);
}

static void on_tick(uv_timer_t *timer)
{
	struct worker *worker = timer->data;

	if (!worker->stopping) {
		tcp_tick(worker);
		count_refused(worker);
		return;
	}
	tcp_close_connections(worker, false);
	if ((worker->suspended == 0 && worker->connection_count == 0) ||
	    vigie_clock_ms() >= worker->stop_by_ms)
		close_all(worker);
}

static void on_stop(uv_async_t *async)
{
	struct worker *worker = async->data;

	if (worker->stopping)
		return;
	worker->stopping = true;
	worker->stop_by_ms = vigie_clock_ms() + VIGIE_DRAIN_MS;
	worker_enter(worker);
	for (struct udp_socket *udp = worker->udp_sockets; udp; udp = udp->next)
		udp_drain(udp);
	worker_leave(worker);
	uv_timer_start(&worker->tick, on_tick, 0, DRAIN_TICK_MS);
}

static void on_retire(uv_timer_t *timer)
{
	struct worker *worker = timer->data;

	if (handover_check(worker))
		uv_timer_stop(timer);
}

static void on_change(uv_async_t *async)
{
	struct worker *worker = async->data;
	struct handover *handover = atomic_exchange(&worker->incoming, NULL);

	if (!handover)
		return;
	worker_enter(worker);
	handover_apply(worker, handover);
	worker_leave(worker);
	if (!handover_check(worker))
		uv_timer_start(&worker->retire, on_retire, RETIRE_TICK_MS, RETIRE_TICK_MS);
}

void worker_hand_over(struct worker *worker, struct handover *handover)
{
	atomic_store(&worker->incoming, handover);
	uv_async_send(&worker->change);
}

static void enter_turn(void *argument)
{
	worker_enter(argument);
}

static void leave_turn(void *argument)
{
	worker_leave(argument);
}

struct worker *worker_new(unsigned index)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	struct vigie_turn turn = {.enter = enter_turn, .leave = leave_turn, .argument = worker};

	if (!worker)
		return NULL;
	worker->batch = udp_batch_new();
	if (!worker->batch || uv_loop_init(&worker->loop)) {
		udp_batch_free(worker->batch);
		free(worker);
		return NULL;
	}
	uv_async_init(&worker->loop, &worker->stop, on_stop);
	uv_async_init(&worker->loop, &worker->change, on_change);
	uv_timer_init(&worker->loop, &worker->tick);
	await_init(worker);
	uv_timer_init(&worker->loop, &worker->retire);
	worker->stop.data = worker;
	worker->tick.data = worker;
	worker->change.data = worker;
	worker->retire.data = worker;
	worker->base.loop = &worker->loop;
	worker->base.index = index;
	worker->base.ops = &flight_ops;
	worker->base.exchanger = vigie_exchanger_new(&worker->loop, &turn);
	if (!worker->base.exchanger) {
		worker_free(worker);
		return NULL;
	}
	return worker;
}

enum vigie_status worker_listen(struct worker *worker, const struct listener *listener,
				struct vigie_error *error)
{
	struct udp_socket *udp = NULL;
	struct tcp_listener *tcp = NULL;
	enum vigie_status status = listener->tls ? VIGIE_OK : udp_open(&udp, listener, error);

	if (udp)
		udp_attach(worker, udp);
	if (!status)
		status = tcp_open(&tcp, listener, error);
	if (tcp)
		tcp_attach(worker, tcp);
	return status;
}

static void run(void *argument)
{
	struct worker *worker = argument;

	vigie_thread_set("worker", VIGIE_THREAD_PACKETS);
	rcu_register_thread();
	rcu_thread_offline();
	for (struct udp_socket *udp = worker->udp_sockets; udp; udp = udp->next)
		udp_start(udp);
	for (struct tcp_listener *tcp = worker->tcp_listeners; tcp; tcp = tcp_next(tcp))
		tcp_start(tcp);
	uv_timer_start(&worker->tick, on_tick, TICK_MS, TICK_MS);
	uv_run(&worker->loop, UV_RUN_DEFAULT);
	rcu_unregister_thread();
	worker->ended(worker->ended_argument);
}

enum vigie_status worker_start(struct worker *worker, void (*ended)(void *argument), void *argument)
{
	worker->ended = ended;
	worker->ended_argument = argument;
	if (uv_thread_create(&worker->thread, run, worker))
		return VIGIE_EIO;
	worker->thread_runs = true;
	return VIGIE_OK;
}

void worker_stop(struct worker *worker)
{
	if (worker->thread_runs)
		uv_async_send(&worker->stop);
}

void worker_free(struct worker *worker)
{
	if (worker->thread_runs) {
		uv_thread_join(&worker->thread);
	} else {
		close_all(worker);
		uv_run(&worker->loop, UV_RUN_DEFAULT);
	}
	uv_loop_close(&worker->loop);
	handover_free(worker->incoming);
	handover_free(worker->handover);
	for (size_t i = 0; i <= VIGIE_DEPTH_MAX; i++)
		free(worker->scratch[i]);
	udp_batch_free(worker->batch);
	free(worker);
}

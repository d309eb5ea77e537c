#include "handover.h"

#include <stdlib.h>

#include "flight.h"
#include "tcp.h"
#include "udp.h"

struct handover *handover_new(const struct listeners *listeners, const struct vigie_process *process,
			      void (*done)(void *argument), void *argument)
{
	struct handover *handover = calloc(1, sizeof(*handover));

	if (handover)
		*handover = (struct handover){
			.listeners = listeners, .process = process, .done = done, .argument = argument};
	return handover;
}

enum vigie_status handover_listen(struct handover *handover, const struct listener *listener,
				  struct vigie_error *error)
{
	enum vigie_status status =
		listener->tls ? VIGIE_OK : udp_open(&handover->udp_sockets, listener, error);

	return status ? status : tcp_open(&handover->tcp_listeners, listener, error);
}

void handover_free(struct handover *handover)
{
	if (!handover)
		return;
	while (handover->udp_sockets) {
		struct udp_socket *next = handover->udp_sockets->next;

		udp_discard(handover->udp_sockets);
		handover->udp_sockets = next;
	}
	while (handover->tcp_listeners) {
		struct tcp_listener *next = tcp_next(handover->tcp_listeners);

		tcp_discard(handover->tcp_listeners);
		handover->tcp_listeners = next;
	}
	free(handover);
}

static const struct listener *find(const struct handover *handover, const struct listener *old)
{
	for (size_t i = 0; i < handover->listeners->count; i++) {
		if (listener_same(handover->listeners->list[i], old))
			return handover->listeners->list[i];
	}
	return NULL;
}

void handover_apply(struct worker *worker, struct handover *handover)
{
	for (struct udp_socket *udp = worker->udp_sockets; udp; udp = udp->next) {
		const struct listener *listener = find(handover, udp->listener);

		if (listener) {
			udp->listener = listener;
		} else if (!udp->retired) {
			udp->retired = true;
			udp_drain(udp);
		}
	}
	for (struct tcp_listener **at = &worker->tcp_listeners; *at;) {
		struct tcp_listener *tcp = *at;
		const struct listener *listener = find(handover, tcp_listener_of(tcp));

		if (listener) {
			tcp_set_listener(tcp, listener);
			at = tcp_next_place(tcp);
		} else {
			*at = tcp_next(tcp);
			tcp_close(tcp);
		}
	}
	tcp_rebind_connections(worker, handover->listeners);
	while (handover->udp_sockets) {
		struct udp_socket *udp = handover->udp_sockets;

		handover->udp_sockets = udp->next;
		udp_attach(worker, udp);
		if (!worker->stopping)
			udp_start(udp);
	}
	while (handover->tcp_listeners) {
		struct tcp_listener *tcp = handover->tcp_listeners;

		handover->tcp_listeners = tcp_next(tcp);
		tcp_attach(worker, tcp);
		if (!worker->stopping)
			tcp_start(tcp);
	}
	worker->handover = handover;
}

bool handover_check(struct worker *worker)
{
	struct handover *handover = worker->handover;

	if (!handover)
		return true;
	if (flight_is_used(worker, handover->process) || !tcp_close_retired(worker, handover->listeners))
		return false;
	for (struct udp_socket **at = &worker->udp_sockets; *at;) {
		struct udp_socket *udp = *at;

		if (udp->retired) {
			*at = udp->next;
			udp_close(udp);
		} else {
			at = &udp->next;
		}
	}
	worker->handover = NULL;
	handover->done(handover->argument);
	handover_free(handover);
	return true;
}

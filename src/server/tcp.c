#include "tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"
#include "listen.h"
#include "vigie/clock.h"

struct tcp_listener {
	struct tcp_listener *next;
	struct worker *worker;
	const struct listener *listener;
	uv_tcp_t handle; /* from tcp_attach on */
	int fd;          /* until then */
};

/* Whether a client has more connections than it may; the new one counts. */
static bool client_is_full(const struct worker *worker, const union address *client)
{
	size_t count = 0;

	for (const struct connection *c = worker->connections; c; c = c->next)
		count += address_same_host(&c->origin.client, client);
	return count > VIGIE_TCP_CLIENT_CONNECTIONS_MAX;
}

static void evict_oldest(struct worker *worker)
{
	struct connection *oldest = NULL;

	for (struct connection *c = worker->connections; c; c = c->next) {
		if (!oldest || c->active_ms <= oldest->active_ms) /* of equals the one that came first */
			oldest = c;
	}
	if (!oldest)
		return;
	count_more(&worker->counters.tcp_evicted, 1);
	connection_close(oldest);
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct tcp_listener *listener = stream->data;
	struct worker *worker = listener->worker;
	struct connection *connection;

	if (status < 0)
		return;
	connection = connection_new(worker, listener->listener, stream);
	if (!connection)
		return;
	count_more(&worker->counters.tcp_accepted, 1);
	if (client_is_full(worker, &connection->origin.client)) {
		count_more(&worker->counters.tcp_rejected, 1);
		connection_close(connection);
		return;
	}
	if (worker->connection_count > VIGIE_TCP_CONNECTIONS_MAX)
		evict_oldest(worker);
	connection_read(connection);
}

enum vigie_status tcp_open(struct tcp_listener **list, const struct listener *listener,
			   struct vigie_error *error)
{
	const union address *address = &listener->address;
	struct tcp_listener *tcp = calloc(1, sizeof(*tcp));
	char text[ADDRESS_TEXT_MAX];
	int only_v6 = !listener->wildcard;
	int yes = 1;
	int fd;

	if (!tcp)
		return vigie_error_memory(error);
	tcp->listener = listener;
	fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) ||
	    (address->any.sa_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof(only_v6))) ||
	    bind(fd, &address->any, address_length(address)) || listen(fd, VIGIE_TCP_BACKLOG)) {
		vigie_error_set(error, VIGIE_EIO, "cannot listen on %s by TCP: %s",
				address_to_text(address, text), strerror(errno));
		tcp->fd = fd;
		tcp_discard(tcp);
		return VIGIE_EIO;
	}
	tcp->fd = fd;
	tcp->next = *list;
	*list = tcp;
	return VIGIE_OK;
}

void tcp_discard(struct tcp_listener *tcp)
{
	if (tcp->fd >= 0)
		close(tcp->fd);
	free(tcp);
}

void tcp_attach(struct worker *worker, struct tcp_listener *tcp)
{
	/* They can only fail for a file that is no socket of libuv's kind: this is one. */
	uv_tcp_init(&worker->loop, &tcp->handle);
	uv_tcp_open(&tcp->handle, tcp->fd);
	tcp->handle.data = tcp;
	tcp->worker = worker;
	tcp->next = worker->tcp_listeners;
	worker->tcp_listeners = tcp;
}

void tcp_start(struct tcp_listener *listener)
{
	uv_listen((uv_stream_t *)&listener->handle, VIGIE_TCP_BACKLOG, on_connection);
}

static void on_listener_closed(uv_handle_t *handle)
{
	free(handle->data);
}

struct tcp_listener *tcp_next(const struct tcp_listener *listener)
{
	return listener->next;
}

struct tcp_listener **tcp_next_place(struct tcp_listener *listener)
{
	return &listener->next;
}

const struct listener *tcp_listener_of(const struct tcp_listener *listener)
{
	return listener->listener;
}

void tcp_set_listener(struct tcp_listener *tcp, const struct listener *listener)
{
	tcp->listener = listener;
}

void tcp_close(struct tcp_listener *listener)
{
	uv_close((uv_handle_t *)&listener->handle, on_listener_closed);
}

/* How long the connection may stay as it is. */
static uint64_t timeout_of(const struct connection *connection)
{
	const struct vigie_timeouts *timeouts = &connection->origin.listener->timeouts;
	uint64_t chosen = timeouts->idle_ms;

	if (connection->unsent > 0)
		chosen = timeouts->write_ms;
	else if (connection->in.length > 0 || connection->queries == 0)
		chosen = timeouts->read_ms;
	return chosen ? chosen : VIGIE_TCP_IDLE_MS;
}

void tcp_tick(struct worker *worker)
{
	uint64_t now = vigie_clock_ms();
	struct connection *next;

	for (struct connection *c = worker->connections; c; c = next) {
		next = c->next;
		if (c->pending > 0 || now - c->active_ms < timeout_of(c))
			continue;
		if (c->unsent > 0)
			count_more(&worker->counters.tcp_slow, 1);
		else
			count_more(&worker->counters.tcp_idle, 1);
		connection_close(c);
	}
}

static const struct listener *find_listener(const struct listeners *listeners, const struct listener *wanted)
{
	for (size_t i = 0; i < listeners->count; i++) {
		if (listener_same(listeners->list[i], wanted))
			return listeners->list[i];
	}
	return NULL;
}

void tcp_rebind_connections(struct worker *worker, const struct listeners *listeners)
{
	for (struct connection *c = worker->connections; c; c = c->next) {
		const struct listener *listener = find_listener(listeners, c->origin.listener);

		if (listener)
			c->origin.listener = listener;
	}
}

bool tcp_close_retired(struct worker *worker, const struct listeners *listeners)
{
	struct connection *next;
	bool none = true;

	for (struct connection *c = worker->connections; c; c = next) {
		next = c->next;
		if (find_listener(listeners, c->origin.listener))
			continue; /* a stream among them: it holds nothing of the generation before */
		if (c->pending == 0 && c->unsent == 0 && !c->stream)
			connection_close(c);
		else
			none = false;
	}
	return none;
}

void tcp_close_connections(struct worker *worker, bool every)
{
	struct connection *next;

	for (struct connection *c = worker->connections; c; c = next) {
		next = c->next;
		if (every || (c->pending == 0 && c->unsent == 0 && c->in.length == 0 && !c->stream))
			connection_close(c);
	}
}

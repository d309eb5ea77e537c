#include "tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flight.h"
#include "vigie/buffer.h"
#include "vigie/clock.h"

enum {
	FRAME_HEADER = 2, /* a message's length stands before it (RFC 1035 section 4.2.2) */
	FRAME_MAX = FRAME_HEADER + VIGIE_MESSAGE_MAX,
	READ_MAX = 65536, /* bytes of one read */
	UNSENT_PAUSE =
		65536 /* bytes of unread answers of a connection that stop the reading of its queries */
};

struct tcp_listener {
	struct tcp_listener *next;
	struct worker *worker;
	const struct listener *listener;
	uv_tcp_t handle;
};

struct connection {
	struct connection *next;
	struct connection *previous;
	struct worker *worker;
	struct origin origin; /* of each of its queries */
	uv_tcp_t handle;
	struct vigie_buffer in;  /* the beginning of a query whose end has not come; usually empty */
	struct vigie_buffer out; /* answers that are not handed to the kernel yet */
	size_t unsent;           /* bytes that the kernel has not taken */
	unsigned pending;        /* suspended queries */
	uint64_t active_ms;      /* when a whole query came, or the client read something */
	bool paused;             /* nothing is read: too much is pending or unsent */
	bool gathering;          /* answers are collected, to be sent together */
	bool closing;
};

/* A write under way and its bytes. */
struct write {
	uv_write_t request;
	struct connection *connection;
	size_t length;
	uint8_t bytes[];
};

/* One read at a time in a thread: what it brought is served or kept before the next. */
static _Thread_local uint8_t read_buffer[READ_MAX];

static void on_connection_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;

	vigie_buffer_fini(&connection->in);
	vigie_buffer_fini(&connection->out);
	free(connection);
}

static void connection_close(struct connection *connection)
{
	struct worker *worker = connection->worker;

	if (connection->closing)
		return;
	connection->closing = true;
	if (connection->next)
		connection->next->previous = connection->previous;
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		worker->connections = connection->next;
	worker->connection_count--;
	flight_forget_connection(worker, connection);
	uv_close((uv_handle_t *)&connection->handle, on_connection_closed);
}

/* Unread answers of a client, over all its connections. */
static size_t client_unsent(const struct connection *of)
{
	size_t unsent = 0;

	for (const struct connection *c = of->worker->connections; c; c = c->next) {
		if (address_same_host(&c->origin.client, &of->origin.client))
			unsent += c->unsent;
	}
	return unsent;
}

static void serve_more(struct connection *connection);

static void on_written(uv_write_t *request, int status)
{
	struct write *write = request->data;
	struct connection *connection = write->connection;

	connection->unsent -= write->length;
	free(write);
	if (connection->closing)
		return;
	if (status) {
		connection_close(connection);
		return;
	}
	connection->active_ms = vigie_clock_ms();
	worker_enter(connection->worker);
	serve_more(connection);
	worker_leave(connection->worker);
}

/* Hands `length` bytes, which the kernel would not take at once, to the loop. */
static bool write_later(struct connection *connection, const uint8_t *bytes, size_t length)
{
	struct write *write = malloc(sizeof(*write) + length);
	uv_buf_t buffer;

	if (!write)
		return false;
	memcpy(write->bytes, bytes, length);
	write->connection = connection;
	write->length = length;
	write->request.data = write;
	buffer = uv_buf_init((char *)write->bytes, (unsigned)length);
	if (uv_write(&write->request, (uv_stream_t *)&connection->handle, &buffer, 1, on_written)) {
		free(write);
		return false;
	}
	connection->unsent += length;
	return true;
}

static void flush(struct connection *connection)
{
	struct vigie_buffer *out = &connection->out;
	size_t sent = 0;

	if (connection->closing || out->length == 0)
		return;
	if (connection->unsent == 0) {
		uv_buf_t buffer = uv_buf_init((char *)out->data, (unsigned)out->length);
		int now = uv_try_write((uv_stream_t *)&connection->handle, &buffer, 1);

		if (now < 0 && now != UV_EAGAIN) {
			connection_close(connection);
			return;
		}
		sent = now > 0 ? (size_t)now : 0;
	}
	if (sent < out->length && !write_later(connection, out->data + sent, out->length - sent)) {
		connection_close(connection);
		return;
	}
	vigie_buffer_fini(out); /* an idle connection holds no memory */
	if (connection->unsent > 0 && client_unsent(connection) > VIGIE_TCP_CLIENT_BYTES_MAX) {
		connection->worker->counters.tcp_slow++;
		connection_close(connection);
	}
}

void tcp_send(struct connection *connection, const uint8_t *answer, size_t length)
{
	uint8_t header[FRAME_HEADER] = {(uint8_t)(length >> 8), (uint8_t)length};

	if (connection->closing)
		return;
	if (vigie_buffer_append(&connection->out, header, sizeof(header)) ||
	    vigie_buffer_append(&connection->out, answer, length)) {
		connection_close(connection);
		return;
	}
	if (!connection->gathering || connection->out.length >= UNSENT_PAUSE)
		flush(connection);
}

static void serve_message(struct connection *connection, const uint8_t *message, size_t length)
{
	struct worker *worker = connection->worker;
	uint8_t *answer = worker_scratch(worker, 0);
	struct flight flight;
	enum vigie_gate gate;
	size_t bytes;

	if (!answer) {
		connection_close(connection);
		return;
	}
	connection->active_ms = worker->base.now_ms;
	flight.origin = connection->origin;
	gate = vigie_query_parse(&flight.query, message, length);
	if (gate != VIGIE_GATE_OK) {
		worker->counters.refused[gate]++;
		bytes = vigie_answer_refusal(&flight.query, gate, answer, VIGIE_MESSAGE_MAX);
	} else {
		worker->counters.tcp_queries++;
		flight_begin(&flight, worker, VIGIE_CHANNEL_TCP, answer, VIGIE_MESSAGE_MAX);
		bytes = flight_run(&flight) ? vigie_answer_end(&flight.answer) : 0;
	}
	if (bytes > 0)
		tcp_send(connection, answer, bytes);
}

static bool must_pause(const struct connection *connection)
{
	return connection->pending >= VIGIE_TCP_PENDING_MAX || connection->unsent >= UNSENT_PAUSE;
}

/* Serves the whole messages of `bytes`; returns how many bytes they were. */
static size_t serve_messages(struct connection *connection, const uint8_t *bytes, size_t length)
{
	size_t at = 0;

	connection->gathering = true;
	while (length - at >= FRAME_HEADER && !connection->closing && !must_pause(connection)) {
		size_t message = (size_t)bytes[at] << 8 | bytes[at + 1];

		if (length - at - FRAME_HEADER < message)
			break;
		serve_message(connection, bytes + at + FRAME_HEADER, message);
		at += FRAME_HEADER + message;
	}
	connection->gathering = false;
	flush(connection);
	return at;
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	*buffer = uv_buf_init((char *)read_buffer, sizeof(read_buffer));
}

static void pause_if_needed(struct connection *connection)
{
	if (connection->closing || connection->paused || !must_pause(connection))
		return;
	connection->paused = true;
	uv_read_stop((uv_stream_t *)&connection->handle);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
	struct connection *connection = stream->data;
	const uint8_t *bytes = (const uint8_t *)buffer->base;
	struct vigie_buffer *in = &connection->in;
	size_t served = 0;

	if (got < 0) {
		connection_close(connection);
		return;
	}
	worker_enter(connection->worker);
	if (in->length == 0)
		served = serve_messages(connection, bytes, (size_t)got);
	if (!connection->closing && vigie_buffer_append(in, bytes + served, (size_t)got - served) != VIGIE_OK)
		connection_close(connection);
	if (!connection->closing && in->length > 0 && served == 0)
		vigie_buffer_consume(in, serve_messages(connection, in->data, in->length));
	if (!connection->closing && in->length == 0)
		vigie_buffer_fini(in);
	pause_if_needed(connection);
	worker_leave(connection->worker);
}

/* Goes on with a paused connection when there is room again. */
static void serve_more(struct connection *connection)
{
	/* While messages are served, taking back a suspension leads here: who serves them goes on itself. */
	if (!connection->paused || connection->closing || connection->gathering || must_pause(connection))
		return;
	vigie_buffer_consume(&connection->in,
			     serve_messages(connection, connection->in.data, connection->in.length));
	if (connection->closing || must_pause(connection))
		return;
	connection->paused = false;
	if (uv_read_start((uv_stream_t *)&connection->handle, on_allocate, on_read))
		connection_close(connection);
}

void tcp_connection_suspended(struct connection *connection, int change)
{
	connection->pending = (unsigned)((int)connection->pending + change);
	if (change < 0)
		serve_more(connection);
}

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
	worker->counters.tcp_evicted++;
	connection_close(oldest);
}

static void read_addresses(struct connection *connection)
{
	struct origin *origin = &connection->origin;
	int length = sizeof(origin->client);

	uv_tcp_getpeername(&connection->handle, &origin->client.any, &length);
	length = sizeof(origin->local);
	uv_tcp_getsockname(&connection->handle, &origin->local.any, &length);
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct tcp_listener *listener = stream->data;
	struct worker *worker = listener->worker;
	struct connection *connection;

	if (status < 0)
		return;
	connection = calloc(1, sizeof(*connection));
	if (!connection || uv_tcp_init(&worker->loop, &connection->handle)) {
		free(connection);
		return; /* the connection stays in the backlog; libuv asks again */
	}
	connection->worker = worker;
	connection->handle.data = connection;
	connection->origin.listener = listener->listener;
	connection->origin.connection = connection;
	connection->active_ms = vigie_clock_ms();
	vigie_buffer_init(&connection->in, FRAME_MAX + READ_MAX);
	vigie_buffer_init(&connection->out, VIGIE_TCP_CLIENT_BYTES_MAX + FRAME_MAX);
	connection->next = worker->connections;
	if (connection->next)
		connection->next->previous = connection;
	worker->connections = connection;
	worker->connection_count++;
	if (uv_accept(stream, (uv_stream_t *)&connection->handle)) {
		connection_close(connection);
		return;
	}
	read_addresses(connection);
	worker->counters.tcp_accepted++;
	if (client_is_full(worker, &connection->origin.client)) {
		worker->counters.tcp_rejected++;
		connection_close(connection);
		return;
	}
	if (worker->connection_count > VIGIE_TCP_CONNECTIONS_MAX)
		evict_oldest(worker);
	uv_tcp_nodelay(&connection->handle, 1);
	if (uv_read_start((uv_stream_t *)&connection->handle, on_allocate, on_read))
		connection_close(connection);
}

enum vigie_status tcp_open(struct worker *worker, const struct listener *listener, struct vigie_error *error)
{
	const union address *address = &listener->address;
	struct tcp_listener *tcp = calloc(1, sizeof(*tcp));
	char text[ADDRESS_TEXT_MAX];
	int only_v6 = !listener->wildcard;
	int yes = 1;
	int fd;

	if (!tcp)
		return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
	tcp->worker = worker;
	tcp->listener = listener;
	fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) ||
	    (address->any.sa_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof(only_v6))) ||
	    bind(fd, &address->any, address_length(address)) || listen(fd, VIGIE_TCP_BACKLOG)) {
		vigie_error_set(error, VIGIE_EIO, "cannot listen on %s by TCP: %s",
				address_to_text(address, text), strerror(errno));
		goto fail;
	}
	if (uv_tcp_init(&worker->loop, &tcp->handle) || uv_tcp_open(&tcp->handle, fd)) {
		vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
		goto fail;
	}
	tcp->handle.data = tcp;
	tcp->next = worker->tcp_listeners;
	worker->tcp_listeners = tcp;
	return VIGIE_OK;

fail:
	if (fd >= 0)
		close(fd);
	free(tcp);
	return VIGIE_EIO;
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

void tcp_close(struct tcp_listener *listener)
{
	uv_close((uv_handle_t *)&listener->handle, on_listener_closed);
}

void tcp_tick(struct worker *worker)
{
	uint64_t now = vigie_clock_ms();
	struct connection *next;

	for (struct connection *c = worker->connections; c; c = next) {
		next = c->next;
		if (c->pending > 0 || now - c->active_ms < VIGIE_TCP_IDLE_MS)
			continue;
		if (c->unsent > 0)
			worker->counters.tcp_slow++;
		else
			worker->counters.tcp_idle++;
		connection_close(c);
	}
}

void tcp_close_connections(struct worker *worker, bool every)
{
	struct connection *next;

	for (struct connection *c = worker->connections; c; c = next) {
		next = c->next;
		if (every || (c->pending == 0 && c->unsent == 0 && c->in.length == 0))
			connection_close(c);
	}
}

#include "connection.h"

#include <stdlib.h>
#include <string.h>

#include "tcp.h"
#include "vigie/clock.h"

/* An answer of many messages, and the query that each of them repeats. */
struct stream {
	struct vigie_stream *source; /* owned */
	struct vigie_query query;
	uint8_t packet[];
};

/* One read at a time in a thread: what it brought is served or kept before the next. */
static _Thread_local uint8_t read_buffer[READ_MAX];

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer);

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	*buffer = uv_buf_init((char *)read_buffer, sizeof(read_buffer));
}

static void stream_free(struct connection *connection)
{
	if (!connection->stream)
		return;
	connection->stream->source->free(connection->stream->source);
	free(connection->stream);
	connection->stream = NULL;
}

static void on_connection_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;

	vigie_tls_session_free(connection->tls);
	vigie_buffer_fini(&connection->in);
	vigie_buffer_fini(&connection->out);
	free(connection);
}

void connection_close(struct connection *connection)
{
	struct worker *worker = connection->worker;

	if (connection->closing)
		return;
	if (connection->tls && connection->unsent == 0) {
		uint8_t goodbye[256];
		uv_buf_t buffer = uv_buf_init((char *)goodbye, 0);

		vigie_tls_shutdown(connection->tls);
		buffer.len = vigie_tls_take(connection->tls, goodbye, sizeof(goodbye));
		if (buffer.len > 0)
			uv_try_write((uv_stream_t *)&connection->handle, &buffer, 1);
	}
	connection->closing = true;
	stream_free(connection);
	if (connection->next)
		connection->next->previous = connection->previous;
	if (connection->previous)
		connection->previous->next = connection->next;
	else
		worker->connections = connection->next;
	__atomic_store_n(&worker->connection_count, worker->connection_count - 1, __ATOMIC_RELAXED);
	flight_forget_connection(worker, connection);
	uv_close((uv_handle_t *)&connection->handle, on_connection_closed);
}

/* Sends the next message of the stream when the one before is with the kernel. */
static void stream_next(struct connection *connection)
{
	struct stream *stream = connection->stream;
	uint8_t *buffer;
	struct vigie_answer answer;

	if (!stream || connection->closing || connection->unsent > 0)
		return;
	buffer = worker_scratch(connection->worker, 0);
	if (!buffer) {
		connection_close(connection);
		return;
	}
	vigie_answer_begin(&answer, &stream->query, buffer, VIGIE_MESSAGE_MAX);
	if (stream->source->next(stream->source, &answer))
		tcp_send(connection, buffer, vigie_answer_end(&answer));
	else
		stream_free(connection);
}

void tcp_stream(struct connection *connection, struct vigie_stream *source, const struct vigie_query *query)
{
	struct stream *stream = malloc(sizeof(*stream) + query->packet_length);

	if (!stream || connection->closing || connection->stream) {
		/* Without its rest the client must not take the beginning for the whole. */
		source->free(source);
		free(stream);
		connection_close(connection);
		return;
	}
	*stream = (struct stream){.source = source, .query = *query};
	memcpy(stream->packet, query->packet, query->packet_length);
	stream->query.packet = stream->packet;
	connection->stream = stream;
	if (!connection->gathering)
		connection_go_on(connection);
}

static void serve_message(struct connection *connection, const uint8_t *message, size_t length)
{
	struct worker *worker = connection->worker;
	uint8_t *answer = worker_scratch(worker, 0);
	struct flight flight;
	size_t bytes;

	if (!answer) {
		connection_close(connection);
		return;
	}
	connection->active_ms = worker->base.now_ms;
	connection->queries++;
	connection->ending = connection->queries == connection->origin.listener->timeouts.queries_max;
	flight.origin = connection->origin;
	flight_open(&flight, worker, VIGIE_CHANNEL_TCP);
	bytes = flight_answer(&flight, VIGIE_CHANNEL_TCP, message, length, answer);
	flight_count(&flight, VIGIE_CHANNEL_TCP);
	if (bytes > 0)
		tcp_send(connection, answer, bytes);
	if (flight.request.stream)
		tcp_stream(connection, flight.request.stream, &flight.query);
}

static bool must_pause(const struct connection *connection)
{
	return connection->pending >= VIGIE_TCP_PENDING_MAX || connection->unsent >= UNSENT_PAUSE ||
	       connection->stream || connection->ending;
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
	/* What the client does next, or the idle timeout, closes the connection. */
}

/* Shuts our side when the last query is answered. A plain close would tell the kernel to throw answers away
 * that are on their way, if the client has sent more than was read. */
static void end_if_done(struct connection *connection)
{
	if (!connection->ending || connection->closing || connection->shut || connection->gathering ||
	    connection->pending > 0 || connection->stream || connection->unsent > 0 ||
	    connection->out.length > 0)
		return;
	connection->shut = true;
	vigie_buffer_fini(&connection->in);
	connection->active_ms = vigie_clock_ms();
	if (connection->tls) {
		vigie_tls_shutdown(connection->tls);
		connection_flush_tls(connection);
	}
	if (connection->closing)
		return;
	if (uv_shutdown(&connection->shutdown, (uv_stream_t *)&connection->handle, on_shutdown) ||
	    (connection->paused && uv_read_start((uv_stream_t *)&connection->handle, on_allocate, on_read)))
		connection_close(connection);
	connection->paused = false;
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
	connection_flush(connection);
	stream_next(connection);
	end_if_done(connection);
	return at;
}

static void pause_if_needed(struct connection *connection)
{
	if (connection->closing || connection->shut || connection->paused || !must_pause(connection))
		return;
	connection->paused = true;
	uv_read_stop((uv_stream_t *)&connection->handle);
}

/* Serves what came, or keeps it until the rest of its message is there. */
static void take_bytes(struct connection *connection, const uint8_t *bytes, size_t got)
{
	struct vigie_buffer *in = &connection->in;
	size_t served = 0;

	if (in->length == 0)
		served = serve_messages(connection, bytes, got);
	if (!connection->closing && !connection->shut &&
	    vigie_buffer_append(in, bytes + served, got - served) != VIGIE_OK)
		connection_close(connection);
	if (!connection->closing && in->length > 0 && served == 0)
		vigie_buffer_consume(in, serve_messages(connection, in->data, in->length));
	if (!connection->closing && in->length == 0)
		vigie_buffer_fini(in);
}

/* Takes the plain text out of what came. */
static void take_tls(struct connection *connection, const uint8_t *bytes, size_t got)
{
	uint8_t plain[VIGIE_TLS_RECORD_MAX];
	ssize_t length;

	if (vigie_tls_put(connection->tls, bytes, got) != VIGIE_OK) {
		connection_close(connection);
		return;
	}
	while ((length = vigie_tls_read(connection->tls, plain, sizeof(plain))) > 0) {
		if (connection->shut)
			continue;
		take_bytes(connection, plain, (size_t)length);
		if (connection->closing)
			return;
	}
	connection_flush_tls(connection);
	if (length < 0)
		connection_close(connection);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
	struct connection *connection = stream->data;
	const uint8_t *bytes = (const uint8_t *)buffer->base;

	if (got < 0) {
		connection_close(connection);
		return;
	}
	if (got == 0 || (connection->shut && !connection->tls))
		return;
	worker_enter(connection->worker);
	if (connection->tls)
		take_tls(connection, bytes, (size_t)got);
	else
		take_bytes(connection, bytes, (size_t)got);
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

void connection_go_on(struct connection *connection)
{
	stream_next(connection);
	pause_if_needed(connection);
	serve_more(connection);
	end_if_done(connection);
}

void tcp_connection_suspended(struct connection *connection, int change)
{
	connection->pending = (unsigned)((int)connection->pending + change);
	if (change < 0) {
		serve_more(connection);
		end_if_done(connection);
	}
}

static void read_addresses(struct connection *connection)
{
	struct origin *origin = &connection->origin;
	int length = sizeof(origin->client);

	uv_tcp_getpeername(&connection->handle, &origin->client.any, &length);
	length = sizeof(origin->local);
	uv_tcp_getsockname(&connection->handle, &origin->local.any, &length);
}

struct connection *connection_new(struct worker *worker, const struct listener *listener, uv_stream_t *from)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection || uv_tcp_init(&worker->loop, &connection->handle)) {
		free(connection);
		return NULL; /* it stays in the backlog; libuv asks again */
	}
	connection->worker = worker;
	connection->handle.data = connection;
	connection->origin.listener = listener;
	connection->origin.connection = connection;
	connection->active_ms = vigie_clock_ms();
	vigie_buffer_init(&connection->in, FRAME_MAX + 2 * READ_MAX);
	vigie_buffer_init(&connection->out, VIGIE_TCP_CLIENT_BYTES_MAX + FRAME_MAX);
	connection->next = worker->connections;
	if (connection->next)
		connection->next->previous = connection;
	worker->connections = connection;
	__atomic_store_n(&worker->connection_count, worker->connection_count + 1, __ATOMIC_RELAXED);
	if (uv_accept(from, (uv_stream_t *)&connection->handle)) {
		connection_close(connection);
		return NULL;
	}
	read_addresses(connection);
	if (!listener->tls)
		return connection;
	connection->tls = vigie_tls_session_new(listener->tls);
	if (connection->tls)
		return connection;
	connection_close(connection);
	return NULL;
}

void connection_read(struct connection *connection)
{
	uv_tcp_nodelay(&connection->handle, 1);
	if (uv_read_start((uv_stream_t *)&connection->handle, on_allocate, on_read))
		connection_close(connection);
}

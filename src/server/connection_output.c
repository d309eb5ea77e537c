/* The way of answers out of a connection: framed, encrypted where it is TLS, and bounded. */
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "tcp.h"
#include "vigie/clock.h"

/* A write under way and its bytes. */
struct write {
	uv_write_t request;
	struct connection *connection;
	size_t length;
	uint8_t bytes[];
};

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
	connection_go_on(connection);
	worker_leave(connection->worker);
}

/* Hands `length` bytes to the loop. */
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

/* Writes bytes as they go over the wire; what the kernel does not take at once is copied. While a stream is
 * sent the loop does it all: its call back brings the next message, so that others have their turn between.
 */
static void write_raw(struct connection *connection, const uint8_t *bytes, size_t length)
{
	size_t sent = 0;

	if (connection->closing)
		return;
	if (connection->unsent == 0 && !connection->stream) {
		uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)length);
		int now = uv_try_write((uv_stream_t *)&connection->handle, &buffer, 1);

		if (now < 0 && now != UV_EAGAIN) {
			connection_close(connection);
			return;
		}
		sent = now > 0 ? (size_t)now : 0;
	}
	if (sent < length && !write_later(connection, bytes + sent, length - sent))
		connection_close(connection);
}

void connection_flush_tls(struct connection *connection)
{
	uint8_t bytes[VIGIE_TLS_RECORD_MAX];
	size_t length;

	while (!connection->closing && (length = vigie_tls_take(connection->tls, bytes, sizeof(bytes))) > 0)
		write_raw(connection, bytes, length);
}

void connection_flush(struct connection *connection)
{
	struct vigie_buffer *out = &connection->out;

	if (connection->closing || out->length == 0)
		return;
	if (!connection->tls) {
		write_raw(connection, out->data, out->length);
	} else if (vigie_tls_write(connection->tls, out->data, out->length) == VIGIE_OK) {
		connection_flush_tls(connection);
	} else {
		connection_close(connection);
	}
	if (connection->closing)
		return;
	vigie_buffer_fini(out); /* an idle connection holds no memory */
	if (connection->unsent > 0 && client_unsent(connection) > VIGIE_TCP_CLIENT_BYTES_MAX) {
		count_more(&connection->worker->counters.tcp_slow, 1);
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
		connection_flush(connection);
}

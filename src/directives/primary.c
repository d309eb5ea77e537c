#include "primary.h"

#include <stdlib.h>
#include <string.h>

#include "vigie/axfr.h"
#include "vigie/buffer.h"
#include "vigie/bytes.h"
#include "vigie/random.h"

enum {
	WAIT_MS = 10000, /* for the connection, and for each message */
	FRAME_HEADER = 2,
	READ_MAX = 65536,
	FRAME_MAX = FRAME_HEADER + VIGIE_MESSAGE_MAX
};

struct primary {
	struct vigie_name origin;
	uint32_t serial;
	bool asks_serial; /* the SOA is asked for first */
	uint16_t id;
	struct vigie_axfr *axfr;
	primary_done *done;
	void *argument;
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_connect_t connect;
	uv_write_t write;
	uint8_t query[FRAME_HEADER + VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4];
	struct vigie_buffer in;
	unsigned handles; /* that are not closed yet */
	uint8_t read[READ_MAX];
};

static void on_closed(uv_handle_t *handle)
{
	struct primary *primary = handle->data;

	if (--primary->handles > 0)
		return;
	vigie_axfr_free(primary->axfr);
	vigie_buffer_fini(&primary->in);
	free(primary);
}

void primary_cancel(struct primary *primary)
{
	if (!primary || uv_is_closing((uv_handle_t *)&primary->tcp))
		return;
	primary->done = NULL;
	uv_close((uv_handle_t *)&primary->tcp, on_closed);
	uv_close((uv_handle_t *)&primary->timer, on_closed);
}

static void end(struct primary *primary, enum primary_outcome outcome, const char *trouble)
{
	primary_done *done = primary->done;
	void *argument = primary->argument;
	struct vigie_zone_builder *builder =
		outcome == PRIMARY_ZONE ? vigie_axfr_builder(primary->axfr) : NULL;

	if (!done)
		return;
	primary_cancel(primary);
	done(argument, outcome, builder, trouble);
}

static void on_timer(uv_timer_t *timer)
{
	end(timer->data, PRIMARY_FAILED, "no answer in time");
}

static void on_written(uv_write_t *write, int status)
{
	if (status)
		end(write->data, PRIMARY_FAILED, uv_strerror(status));
}

/* Asks for a type; the zone itself is the last question of a connection. */
static void send_query(struct primary *primary, uint16_t type)
{
	uv_buf_t buffer;
	size_t length;
	int failed;

	primary->id = (uint16_t)vigie_random_below(UINT16_MAX + 1U);
	if (type == VIGIE_TYPE_AXFR) {
		primary->axfr = vigie_axfr_new(&primary->origin, primary->id);
		if (!primary->axfr) {
			end(primary, PRIMARY_FAILED, "out of memory");
			return;
		}
	}
	length = vigie_query_write(primary->query + FRAME_HEADER, sizeof(primary->query) - FRAME_HEADER,
				   primary->id, 0, primary->origin.bytes, type, VIGIE_CLASS_IN, false, false);
	primary->query[0] = (uint8_t)(length >> 8);
	primary->query[1] = (uint8_t)length;
	buffer = uv_buf_init((char *)primary->query, (unsigned)(FRAME_HEADER + length));
	failed = uv_write(&primary->write, (uv_stream_t *)&primary->tcp, &buffer, 1, on_written);
	if (failed)
		end(primary, PRIMARY_FAILED, uv_strerror(failed));
}

/* RFC 1982: whether serial `a` is behind `b`. */
static bool serial_is_newer(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* Takes one message; false when that was the end. */
static bool take_message(struct primary *primary, const uint8_t *message, size_t length)
{
	struct vigie_error error = {""};
	enum vigie_status status;
	uint32_t serial;

	uv_timer_again(&primary->timer);
	if (!primary->axfr) {
		status = vigie_axfr_serial(&primary->origin, primary->id, message, length, &serial, &error);
		if (status)
			end(primary, PRIMARY_FAILED, error.text);
		else if (serial_is_newer(serial, primary->serial))
			send_query(primary, VIGIE_TYPE_AXFR);
		else
			end(primary, PRIMARY_CURRENT, NULL);
		return primary->axfr && primary->done;
	}
	status = vigie_axfr_take(primary->axfr, message, length, &error);
	if (status)
		end(primary, PRIMARY_FAILED, error.text);
	else if (vigie_axfr_done(primary->axfr))
		end(primary, PRIMARY_ZONE, NULL);
	return primary->done != NULL;
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct primary *primary = handle->data;

	*buffer = uv_buf_init((char *)primary->read, sizeof(primary->read));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
	struct primary *primary = stream->data;
	struct vigie_buffer *in = &primary->in;
	size_t at = 0;

	if (got < 0) {
		end(primary, PRIMARY_FAILED,
		    got == UV_EOF ? "it closed the connection" : uv_strerror((int)got));
		return;
	}
	if (vigie_buffer_append(in, buffer->base, (size_t)got) != VIGIE_OK) {
		end(primary, PRIMARY_FAILED, "out of memory");
		return;
	}
	while (in->length - at >= FRAME_HEADER) {
		size_t length = read_u16(in->data + at);

		if (in->length - at - FRAME_HEADER < length)
			break;
		if (!take_message(primary, in->data + at + FRAME_HEADER, length))
			return;
		at += FRAME_HEADER + length;
	}
	vigie_buffer_consume(in, at);
}

static void on_connected(uv_connect_t *connect, int status)
{
	struct primary *primary = connect->data;

	if (!primary->done)
		return; /* cancelled */
	if (!status)
		status = uv_read_start((uv_stream_t *)&primary->tcp, on_allocate, on_read);
	if (status) {
		end(primary, PRIMARY_FAILED, uv_strerror(status));
		return;
	}
	send_query(primary, primary->asks_serial ? VIGIE_TYPE_SOA : VIGIE_TYPE_AXFR);
}

static void on_failed_at_once(uv_timer_t *timer)
{
	end(timer->data, PRIMARY_FAILED, "cannot connect");
}

struct primary *primary_ask(uv_loop_t *loop, const union host_port *address, const struct vigie_name *origin,
			    const uint32_t *serial, primary_done *done, void *argument)
{
	struct primary *primary = calloc(1, sizeof(*primary));

	if (!primary)
		return NULL;
	primary->origin = *origin;
	primary->asks_serial = serial != NULL;
	primary->serial = serial ? *serial : 0;
	primary->done = done;
	primary->argument = argument;
	vigie_buffer_init(&primary->in, FRAME_MAX + READ_MAX);
	uv_tcp_init(loop, &primary->tcp);
	uv_timer_init(loop, &primary->timer);
	primary->tcp.data = primary;
	primary->timer.data = primary;
	primary->connect.data = primary;
	primary->write.data = primary;
	primary->handles = 2;
	if (uv_tcp_connect(&primary->connect, &primary->tcp, &address->any, on_connected))
		uv_timer_start(&primary->timer, on_failed_at_once, 0, 0);
	else
		uv_timer_start(&primary->timer, on_timer, WAIT_MS, WAIT_MS);
	return primary;
}

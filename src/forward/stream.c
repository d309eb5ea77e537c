#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "tls.h"
#include "vigie/answer.h"
#include "vigie/buffer.h"
#include "vigie/clock.h"
#include "vigie/random.h"

enum {
	FRAME_HEADER = 2,
	IN_MAX = 2 * (FRAME_HEADER + VIGIE_MESSAGE_MAX),
	OUT_MAX = STREAM_QUERIES_MAX * (FRAME_HEADER + ASKED_MAX)
};

/* A query whose id is taken on this connection: until the reply comes, also when nobody waits any more. */
struct slot {
	struct carried carried; /* without an attempt: forgotten */
	uint16_t id;
	bool used;
};

struct stream {
	struct carrier carrier; /* open: queries can be written */
	struct streams *streams;
	uv_tcp_t tcp;
	uv_timer_t tick;
	uv_connect_t connect;
	unsigned handles; /* that the loop has not closed yet */
	struct tls *tls;  /* NULL: plain TCP */
	uint64_t made_ms;
	unsigned used; /* slots */
	struct slot slots[STREAM_QUERIES_MAX];
	struct vigie_buffer in;
	struct vigie_buffer out; /* until it is open */
};

/* A frame on its way. */
struct written {
	uv_write_t request;
	uint8_t bytes[];
};

static struct stream *stream_of(struct carrier *carrier)
{
	return (struct stream *)carrier; /* it stands first */
}

static void stream_free(struct stream *stream)
{
	vigie_buffer_fini(&stream->in);
	vigie_buffer_fini(&stream->out);
	tls_free(stream->tls);
	carrier_fini(&stream->carrier);
	free(stream);
}

static void on_closed(uv_handle_t *handle)
{
	struct stream *stream = handle->data;

	if (--stream->handles == 0)
		stream_free(stream);
}

static void stream_close(struct stream *stream)
{
	if (!stream->carrier.list)
		return;
	carrier_close(&stream->carrier);
	uv_close((uv_handle_t *)&stream->tcp, on_closed);
	uv_close((uv_handle_t *)&stream->tick, on_closed);
}

/* The connection is of no use any more: so hear all that wait on it. */
static void stream_fail(struct stream *stream, int error, const char *why)
{
	if (!stream->carrier.list)
		return;
	stream_close(stream);
	for (size_t i = 0; i < STREAM_QUERIES_MAX; i++) {
		struct attempt *attempt = stream->slots[i].carried.attempt;

		if (!attempt)
			continue;
		stream->slots[i].carried.attempt = NULL;
		attempt->handle = NULL;
		exchange_failed(attempt, error, why);
	}
}

void stream_drop(struct attempt *attempt)
{
	struct carried *carried = attempt->handle;
	struct stream *stream = stream_of(carried->carrier);

	carried->attempt = NULL;
	carrier_drop(&stream->carrier);
	/* Ids that stay taken would use the connection up: most replies never came. */
	if (stream->used - stream->carrier.waiting > STREAM_QUERIES_MAX / 2)
		stream->carrier.retired = true;
}

/* Hands a message to the attempt whose id it has. False: the connection is not to be trusted any more. */
static bool take_message(struct stream *stream, const uint8_t *message, size_t length)
{
	uint16_t id = (uint16_t)(message[0] << 8 | message[1]);

	for (size_t i = 0; i < STREAM_QUERIES_MAX; i++) {
		struct slot *slot = &stream->slots[i];
		bool good = true;

		if (!slot->used || slot->id != id)
			continue;
		if (slot->carried.attempt)
			good = exchange_message(slot->carried.attempt, message, length);
		if (good) {
			slot->used = false;
			stream->used--;
			stream->carrier.full = false;
		}
		return good;
	}
	atomic_fetch_add_explicit(&stream->carrier.upstream->counters.bad[VIGIE_REPLY_ID], 1,
				  memory_order_relaxed);
	return false;
}

static void read_messages(struct stream *stream)
{
	size_t at = 0;

	while (stream->carrier.list && stream->in.length - at >= FRAME_HEADER) {
		const uint8_t *frame = stream->in.data + at;
		size_t length = (size_t)frame[0] << 8 | frame[1];

		if (stream->in.length - at < FRAME_HEADER + length)
			break;
		at += FRAME_HEADER + length;
		if (length < VIGIE_HEADER_SIZE || !take_message(stream, frame + FRAME_HEADER, length)) {
			stream_fail(stream, -EBADMSG, "the reply does not answer the question");
			return;
		}
	}
	vigie_buffer_consume(&stream->in, at);
}

/* By TLS what comes is not yet what is read. */
static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct stream *stream = handle->data;

	*buffer = uv_buf_init(NULL, 0);
	if (stream->tls)
		*buffer = uv_buf_init((char *)stream->streams->scratch, STREAM_READ_SIZE);
	else if (vigie_buffer_reserve(&stream->in, STREAM_READ_SIZE) == VIGIE_OK)
		*buffer = uv_buf_init((char *)stream->in.data + stream->in.length, STREAM_READ_SIZE);
}

static void on_written(uv_write_t *request, int status)
{
	free(request); /* a failure is seen by the read */
}

/* Hands bytes to the socket. Negative errno. */
static int write_raw(struct stream *stream, const uint8_t *bytes, size_t length)
{
	struct written *written;
	uv_buf_t buffer;
	int error;

	if (length == 0)
		return 0;
	written = malloc(sizeof(*written) + length);
	if (!written)
		return -ENOMEM;
	memcpy(written->bytes, bytes, length);
	buffer = uv_buf_init((char *)written->bytes, (unsigned)length);
	error = uv_write(&written->request, (uv_stream_t *)&stream->tcp, &buffer, 1, on_written);
	if (error)
		free(written);
	return error;
}

/* Sends what TLS has to say. */
static int flush_tls(struct stream *stream)
{
	const uint8_t *bytes;
	size_t length = tls_output(stream->tls, &bytes);
	int error = write_raw(stream, bytes, length);

	tls_forget_output(stream->tls);
	return error;
}

/* Writes bytes, or keeps them until the connection is open. Negative errno. */
static int stream_write(struct stream *stream, const uint8_t *bytes, size_t length)
{
	if (!stream->carrier.open)
		return vigie_buffer_append(&stream->out, bytes, length) ? -ENOMEM : 0;
	if (!stream->tls)
		return write_raw(stream, bytes, length);
	return tls_write(stream->tls, bytes, length) ? flush_tls(stream) : -EPROTO;
}

/* Queries can be written: those that wait are. */
static void on_open(struct stream *stream)
{
	int error;

	stream->carrier.open = true;
	error = stream->out.length > 0 ? stream_write(stream, stream->out.data, stream->out.length) : 0;
	vigie_buffer_fini(&stream->out);
	if (error)
		stream_fail(stream, error, uv_strerror(error));
}

/* Bytes came by TLS. */
static void read_tls(struct stream *stream, const uint8_t *bytes, size_t length)
{
	enum tls_state state = tls_feed(stream->tls, bytes, length);
	int got = 1;

	if (flush_tls(stream) || state == TLS_FAILED) {
		stream_fail(stream, -EPROTO, tls_trouble(stream->tls));
		return;
	}
	if (state == TLS_SHAKING)
		return;
	if (!stream->carrier.open)
		on_open(stream);
	while (stream->carrier.list && got > 0) {
		if (vigie_buffer_reserve(&stream->in, STREAM_READ_SIZE)) {
			stream_fail(stream, -ENOMEM, "out of memory");
			return;
		}
		got = tls_read(stream->tls, stream->in.data + stream->in.length, STREAM_READ_SIZE);
		if (got > 0) {
			stream->in.length += (size_t)got;
			read_messages(stream);
		}
	}
	if (got < 0)
		stream_fail(stream, -EPROTO, "connection closed");
}

static void on_read(uv_stream_t *handle, ssize_t got, const uv_buf_t *buffer)
{
	struct stream *stream = handle->data;

	if (got < 0) {
		stream_fail(stream, (int)got, got == UV_EOF ? "connection closed" : uv_strerror((int)got));
		return;
	}
	carrier_heard(&stream->carrier);
	if (stream->tls) {
		read_tls(stream, (const uint8_t *)buffer->base, (size_t)got);
		return;
	}
	stream->in.length += (size_t)got;
	read_messages(stream);
}

static void on_connected(uv_connect_t *connect, int status)
{
	struct stream *stream = connect->data;

	if (!stream->carrier.list)
		return;
	if (!status)
		status = uv_read_start((uv_stream_t *)&stream->tcp, on_allocate, on_read);
	if (!status && stream->tls)
		status = flush_tls(stream);
	if (status) {
		stream_fail(stream, status, uv_strerror(status));
		return;
	}
	carrier_heard(&stream->carrier);
	if (!stream->tls)
		on_open(stream);
}

static void on_tick(uv_timer_t *tick)
{
	struct stream *stream = tick->data;
	enum carrier_state state = carrier_tick(&stream->carrier);

	if (!stream->carrier.open && vigie_clock_ms() - stream->made_ms >= STREAM_CONNECT_MS)
		stream_fail(stream, -ETIMEDOUT, "no connection in time");
	else if (state == CARRIER_SILENT)
		stream_fail(stream, -ETIMEDOUT, "the connection is silent");
	else if (state == CARRIER_DONE)
		stream_close(stream);
}

static struct stream *stream_new(struct streams *streams, const struct attempt *attempt)
{
	const struct vigie_forward_options *options = &attempt->exchange->set->group->options;
	const struct sockaddr *to = (const struct sockaddr *)&attempt->upstream->target.address;
	struct stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	vigie_buffer_init(&stream->in, IN_MAX);
	vigie_buffer_init(&stream->out, OUT_MAX);
	stream->made_ms = vigie_clock_ms();
	stream->streams = streams;
	carrier_init(&stream->carrier, &streams->list, attempt);
	if (attempt->protocol == VIGIE_PROTOCOL_TLS)
		stream->tls = tls_new(attempt->upstream, options);
	if ((attempt->protocol == VIGIE_PROTOCOL_TLS && !stream->tls) ||
	    uv_tcp_init_ex(streams->loop, &stream->tcp, to->sa_family)) {
		carrier_close(&stream->carrier);
		stream_free(stream);
		return NULL;
	}
	uv_timer_init(streams->loop, &stream->tick);
	stream->handles = 2;
	stream->tcp.data = stream->tick.data = stream->connect.data = stream;
	return stream;
}

static int stream_connect(struct stream *stream, const struct sockaddr *from)
{
	const struct sockaddr *to = (const struct sockaddr *)&stream->carrier.upstream->target.address;
	int error = 0;

	if (from->sa_family == to->sa_family)
		error = uv_tcp_bind(&stream->tcp, from, 0);
	if (!error)
		error = uv_tcp_connect(&stream->connect, &stream->tcp, to, on_connected);
	if (error)
		return error;
	uv_tcp_nodelay(&stream->tcp, 1);
	uv_timer_start(&stream->tick, on_tick, CARRIER_TICK_MS, CARRIER_TICK_MS);
	return 0;
}

static struct slot *take_slot(struct stream *stream, uint16_t id)
{
	struct slot *slot = NULL;

	for (size_t i = 0; i < STREAM_QUERIES_MAX; i++) {
		if (!stream->slots[i].used)
			slot = slot ? slot : &stream->slots[i];
		else if (stream->slots[i].id == id)
			return NULL;
	}
	return slot;
}

int stream_send(struct streams *streams, struct attempt *attempt, bool again)
{
	bool alive;
	struct carrier *carrier = carrier_pick(&streams->list, attempt, again, &alive);
	struct stream *stream = carrier ? stream_of(carrier) : NULL;
	uint8_t frame[FRAME_HEADER + ASKED_MAX];
	struct slot *slot = NULL;
	uint16_t id = 0;
	int error;

	if (!stream) {
		stream = alive ? NULL : stream_new(streams, attempt);
		if (!stream)
			return alive ? -EINPROGRESS : -ENOMEM;
		error = stream_connect(
			stream, (const struct sockaddr *)&attempt->exchange->set->group->options.source);
		if (error) {
			stream_close(stream);
			return error;
		}
	}
	/* An id is used once at a time on a connection. */
	while (!slot) {
		vigie_random_bytes(&id, sizeof(id));
		slot = take_slot(stream, id);
	}
	attempt->asked[0] = (uint8_t)(id >> 8);
	attempt->asked[1] = (uint8_t)id;
	frame[0] = (uint8_t)(attempt->asked_length >> 8);
	frame[1] = (uint8_t)attempt->asked_length;
	memcpy(frame + FRAME_HEADER, attempt->asked, attempt->asked_length);
	error = stream_write(stream, frame, FRAME_HEADER + attempt->asked_length);
	if (error)
		return error;
	slot->id = id;
	slot->used = true;
	stream->carrier.full = ++stream->used == STREAM_QUERIES_MAX;
	carrier_carry(&stream->carrier, &slot->carried, attempt);
	return 0;
}

void streams_close(struct streams *streams)
{
	while (streams->list.first)
		stream_close(stream_of(streams->list.first));
}

/* One question to other servers: upstream after upstream, UDP first, TCP when the reply was truncated. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exchange.h"
#include "vigie/answer.h"
#include "vigie/random.h"

enum {
	FRAME_HEADER = 2,
	FRAME_MAX = FRAME_HEADER + VIGIE_MESSAGE_MAX,
	DATAGRAM_MAX = 4096 /* bytes read of a reply by UDP: it may have VIGIE_UDP_SIZE_EDNS */
};

struct exchange {
	struct exchange *next;
	struct exchange *previous;
	struct vigie_exchanger *exchanger;
	const struct vigie_upstream *upstreams;
	size_t count;
	size_t first;
	size_t tried; /* upstreams that were tried before the current one */
	vigie_exchange_done *done;
	void *argument;
	uv_timer_t timer;
	uint64_t deadline_ms; /* of the loop's clock */
	unsigned handles;     /* that the loop has not closed yet; the memory goes with the last */
	bool ended;
	bool tcp_only;
	char trouble[128];

	/* The attempt under way. */
	struct udp *udp;
	struct tcp *tcp;
	uint16_t id;

	struct vigie_query query; /* its packet is `packet` */
	uint8_t packet[];
};

struct udp {
	uv_poll_t poll;
	struct exchange *exchange;
	int fd;
};

struct tcp {
	uv_tcp_t handle;
	uv_connect_t connect;
	uv_write_t write;
	struct exchange *exchange;
	size_t sent_length;
	size_t received;
	uint8_t sent[FRAME_HEADER + VIGIE_UDP_SIZE_PLAIN];
	uint8_t reply[FRAME_MAX];
};

struct vigie_exchanger {
	uv_loop_t *loop;
	struct exchange *exchanges;
	size_t count;
	uint64_t try_ms;
	uint64_t total_ms;
	bool closing;
};

static void next_upstream(struct exchange *exchange);
static void try_upstream(struct exchange *exchange, bool tcp);

static const struct vigie_upstream *current(const struct exchange *exchange)
{
	return &exchange->upstreams[(exchange->first + exchange->tried) % exchange->count];
}

static socklen_t address_length(const struct sockaddr *address)
{
	return address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void set_trouble(struct exchange *exchange, const char *what)
{
	snprintf(exchange->trouble, sizeof(exchange->trouble), "%s: %s", current(exchange)->text, what);
}

/* The exchange's memory stays until its last handle is closed. */
static void unreference(struct exchange *exchange)
{
	if (--exchange->handles == 0)
		free(exchange);
}

static void on_udp_closed(uv_handle_t *handle)
{
	struct udp *udp = handle->data;

	close(udp->fd);
	unreference(udp->exchange);
	free(udp);
}

static void on_tcp_closed(uv_handle_t *handle)
{
	struct tcp *tcp = handle->data;

	unreference(tcp->exchange);
	free(tcp);
}

static void on_timer_closed(uv_handle_t *handle)
{
	unreference(handle->data);
}

static void close_attempt(struct exchange *exchange)
{
	if (exchange->udp)
		uv_close((uv_handle_t *)&exchange->udp->poll, on_udp_closed);
	if (exchange->tcp)
		uv_close((uv_handle_t *)&exchange->tcp->handle, on_tcp_closed);
	exchange->udp = NULL;
	exchange->tcp = NULL;
}

static void end(struct exchange *exchange, enum vigie_status status, const uint8_t *reply, size_t length)
{
	struct vigie_exchanger *exchanger = exchange->exchanger;

	if (exchange->ended)
		return;
	exchange->ended = true;
	if (exchange->next)
		exchange->next->previous = exchange->previous;
	if (exchange->previous)
		exchange->previous->next = exchange->next;
	else
		exchanger->exchanges = exchange->next;
	exchanger->count--;
	close_attempt(exchange);
	uv_close((uv_handle_t *)&exchange->timer, on_timer_closed);
	exchange->done(exchange->argument, status, reply, length, exchange->trouble);
}

/* A reply that passed the check: the answer, unless it is to be asked for by TCP. */
static void take_reply(struct exchange *exchange, const uint8_t *reply, size_t length, bool tcp)
{
	if (!tcp && (vigie_reply_flags(reply) & VIGIE_FLAG_TC)) {
		close_attempt(exchange);
		try_upstream(exchange, true);
		return;
	}
	end(exchange, VIGIE_OK, reply, length);
}

static void on_udp(uv_poll_t *poll, int status, int events)
{
	struct exchange *exchange = ((struct udp *)poll->data)->exchange;
	struct udp *udp = poll->data;
	uint8_t reply[DATAGRAM_MAX];

	while (exchange->udp == udp) {
		ssize_t got = recv(udp->fd, reply, sizeof(reply), MSG_DONTWAIT);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got < 0) {
			set_trouble(exchange, strerror(errno));
			next_upstream(exchange);
			return;
		}
		/* Anything that is not the answer to what was asked is not worth giving up for: the wait goes
		 * on. */
		if (vigie_reply_check(&exchange->query, exchange->id, reply, (size_t)got))
			take_reply(exchange, reply, (size_t)got, false);
	}
}

/* Writes the question as it is asked of an upstream: RD, CD and DO of the client, a new id. */
static size_t write_question(struct exchange *exchange, uint8_t *buffer, size_t size)
{
	const struct vigie_query *query = &exchange->query;
	uint16_t flags = query->flags & (VIGIE_FLAG_RD | VIGIE_FLAG_CD | VIGIE_FLAG_AD);

	vigie_random_bytes(&exchange->id, sizeof(exchange->id));
	return vigie_query_write(buffer, size, exchange->id, flags, query->packet + VIGIE_HEADER_SIZE,
				 query->type, query->class, true, query->edns_do);
}

static enum vigie_status try_udp(struct exchange *exchange)
{
	const struct sockaddr *address = (const struct sockaddr *)&current(exchange)->address;
	uint8_t question[VIGIE_UDP_SIZE_PLAIN];
	size_t length = write_question(exchange, question, sizeof(question));
	struct udp *udp = calloc(1, sizeof(*udp));

	if (!udp)
		return VIGIE_ENOMEM;
	udp->fd = socket(address->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* A connected socket hears of a closed port, and takes datagrams from nobody else. */
	if (udp->fd < 0 || connect(udp->fd, address, address_length(address)) ||
	    send(udp->fd, question, length, 0) < 0 ||
	    uv_poll_init(exchange->exchanger->loop, &udp->poll, udp->fd)) {
		set_trouble(exchange, strerror(errno));
		if (udp->fd >= 0)
			close(udp->fd);
		free(udp);
		return VIGIE_EIO;
	}
	udp->poll.data = udp;
	udp->exchange = exchange;
	exchange->handles++;
	exchange->udp = udp;
	uv_poll_start(&udp->poll, UV_READABLE, on_udp);
	return VIGIE_OK;
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct tcp *tcp = handle->data;

	*buffer = uv_buf_init((char *)tcp->reply + tcp->received,
			      (unsigned)(sizeof(tcp->reply) - tcp->received));
}

static void on_tcp(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
	struct tcp *tcp = stream->data;
	struct exchange *exchange = tcp->exchange;
	size_t length;

	if (exchange->tcp != tcp)
		return;
	if (got < 0) {
		set_trouble(exchange, got == UV_EOF ? "connection closed" : uv_strerror((int)got));
		next_upstream(exchange);
		return;
	}
	tcp->received += (size_t)got;
	if (tcp->received < FRAME_HEADER)
		return;
	length = (size_t)tcp->reply[0] << 8 | tcp->reply[1];
	if (tcp->received - FRAME_HEADER < length)
		return;
	if (vigie_reply_check(&exchange->query, exchange->id, tcp->reply + FRAME_HEADER, length)) {
		take_reply(exchange, tcp->reply + FRAME_HEADER, length, true);
		return;
	}
	set_trouble(exchange, "the reply does not answer the question");
	next_upstream(exchange);
}

static void on_written(uv_write_t *request, int status)
{
	/* A failure is seen by the read. */
}

static void on_connected(uv_connect_t *request, int status)
{
	struct tcp *tcp = request->data;
	struct exchange *exchange = tcp->exchange;
	uv_buf_t buffer = uv_buf_init((char *)tcp->sent, (unsigned)tcp->sent_length);

	if (exchange->tcp != tcp)
		return;
	if (status || uv_write(&tcp->write, (uv_stream_t *)&tcp->handle, &buffer, 1, on_written) ||
	    uv_read_start((uv_stream_t *)&tcp->handle, on_allocate, on_tcp)) {
		set_trouble(exchange, status ? uv_strerror(status) : "cannot write");
		next_upstream(exchange);
	}
}

static enum vigie_status try_tcp(struct exchange *exchange)
{
	const struct sockaddr *address = (const struct sockaddr *)&current(exchange)->address;
	struct tcp *tcp = calloc(1, sizeof(*tcp));
	int error;

	if (!tcp)
		return VIGIE_ENOMEM;
	if (uv_tcp_init(exchange->exchanger->loop, &tcp->handle)) {
		free(tcp);
		return VIGIE_ENOMEM;
	}
	tcp->handle.data = tcp->connect.data = tcp;
	tcp->exchange = exchange;
	exchange->handles++;
	exchange->tcp = tcp;
	tcp->sent_length =
		write_question(exchange, tcp->sent + FRAME_HEADER, sizeof(tcp->sent) - FRAME_HEADER);
	tcp->sent[0] = (uint8_t)(tcp->sent_length >> 8);
	tcp->sent[1] = (uint8_t)tcp->sent_length;
	tcp->sent_length += FRAME_HEADER;
	error = uv_tcp_connect(&tcp->connect, &tcp->handle, address, on_connected);
	if (!error)
		return VIGIE_OK;
	set_trouble(exchange, uv_strerror(error));
	return VIGIE_EIO;
}

static void on_timeout(uv_timer_t *timer)
{
	struct exchange *exchange = timer->data;

	set_trouble(exchange, "i/o timeout");
	next_upstream(exchange);
}

/* The upstream could not even be asked. */
static void on_failed(uv_timer_t *timer)
{
	next_upstream(timer->data);
}

/* Asks the current upstream; a failure to ask at all is dealt with by the timer: nobody's callback runs from
 * within a call. */
static void try_upstream(struct exchange *exchange, bool tcp)
{
	struct vigie_exchanger *exchanger = exchange->exchanger;
	uint64_t now = uv_now(exchanger->loop);
	uint64_t left = exchange->deadline_ms > now ? exchange->deadline_ms - now : 0;
	uint64_t wait = left < exchanger->try_ms ? left : exchanger->try_ms;
	enum vigie_status status = tcp ? try_tcp(exchange) : try_udp(exchange);

	if (status == VIGIE_ENOMEM)
		set_trouble(exchange, vigie_status_text(status));
	if (status)
		uv_timer_start(&exchange->timer, on_failed, 0, 0);
	else
		uv_timer_start(&exchange->timer, on_timeout, wait, 0);
}

static void next_upstream(struct exchange *exchange)
{
	close_attempt(exchange);
	exchange->tried++;
	if (exchange->tried >= exchange->count ||
	    uv_now(exchange->exchanger->loop) >= exchange->deadline_ms) {
		end(exchange, VIGIE_ETIMEOUT, NULL, 0);
		return;
	}
	try_upstream(exchange, exchange->tcp_only);
}

struct vigie_exchanger *vigie_exchanger_new(uv_loop_t *loop)
{
	struct vigie_exchanger *exchanger = calloc(1, sizeof(*exchanger));

	if (!exchanger)
		return NULL;
	exchanger->loop = loop;
	exchanger_set_times(exchanger, VIGIE_EXCHANGE_TRY_MS, VIGIE_EXCHANGE_TOTAL_MS);
	return exchanger;
}

void exchanger_set_times(struct vigie_exchanger *exchanger, uint64_t try_ms, uint64_t total_ms)
{
	exchanger->try_ms = try_ms;
	exchanger->total_ms = total_ms;
}

void vigie_exchanger_close(struct vigie_exchanger *exchanger)
{
	exchanger->closing = true;
	while (exchanger->exchanges) {
		set_trouble(exchanger->exchanges, "the server is stopping");
		end(exchanger->exchanges, VIGIE_EIO, NULL, 0);
	}
	free(exchanger); /* what the loop has yet to close does not look at it */
}

size_t vigie_exchanger_pending(const struct vigie_exchanger *exchanger)
{
	return exchanger->count;
}

enum vigie_status vigie_exchange_start(struct vigie_exchanger *exchanger,
				       const struct vigie_upstream *upstreams, size_t upstream_count,
				       size_t first, const struct vigie_query *query, bool tcp,
				       vigie_exchange_done *done, void *argument)
{
	struct exchange *exchange;

	if (exchanger->closing || exchanger->count >= VIGIE_EXCHANGES_MAX)
		return VIGIE_ENOSPC;
	exchange = calloc(1, sizeof(*exchange) + query->packet_length);
	if (!exchange)
		return VIGIE_ENOMEM;
	if (uv_timer_init(exchanger->loop, &exchange->timer)) {
		free(exchange);
		return VIGIE_ENOMEM;
	}
	exchange->timer.data = exchange;
	exchange->handles = 1;
	exchange->exchanger = exchanger;
	exchange->upstreams = upstreams;
	exchange->count = upstream_count;
	exchange->first = first;
	exchange->tcp_only = tcp;
	exchange->done = done;
	exchange->argument = argument;
	exchange->query = *query;
	memcpy(exchange->packet, query->packet, query->packet_length);
	exchange->query.packet = exchange->packet;
	exchange->next = exchanger->exchanges;
	if (exchange->next)
		exchange->next->previous = exchange;
	exchanger->exchanges = exchange;
	exchanger->count++;
	uv_update_time(exchanger->loop);
	exchange->deadline_ms = uv_now(exchanger->loop) + exchanger->total_ms;
	try_upstream(exchange, tcp);
	return VIGIE_OK;
}

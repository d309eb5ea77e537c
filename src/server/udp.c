#include "udp.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "flight.h"
#include "vigie/forward.h"

enum {
	AHEAD_LEAST = 8,          /* queries of a batch that are worth looking ahead at */
	BATCHES_A_TURN = 8,       /* then the loop's other sockets have their turn */
	MISSES_A_TURN = 256,      /* the same: each costs as much as many queries that are answered here */
	MISSES_BEHIND = 64,       /* of a turn when more come than are read for long: the others fail */
	MISS_COST = 8,            /* what one counts as beside those */
	PRESSURE_HOLD_MS = 10000, /* how long queries are looked at after the last overflow */
	LATE = 32,                /* answers of resumed queries that are sent together */
	PADDING = 64 /* bytes that keep the beginnings of packets out of the same sets of the CPU's cache */
};

/* Room for the address that was asked, of either family, and for when the packet came. */
union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct timespec))];
};

/* Answers of queries that were suspended, until the callback ends or there are enough of them. */
struct late {
	struct udp_socket *socket; /* of all of them */
	unsigned count;
	struct mmsghdr out[LATE];
	struct iovec vector[LATE];
	union address client[LATE];
	union control control[LATE];
	uint8_t answer[LATE][VIGIE_UDP_SIZE_EDNS];
};

struct udp_batch {
	struct mmsghdr in[VIGIE_UDP_BATCH];
	struct mmsghdr out[VIGIE_UDP_BATCH];
	struct iovec in_vector[VIGIE_UDP_BATCH];
	struct iovec out_vector[VIGIE_UDP_BATCH];
	union address client[VIGIE_UDP_BATCH];
	union control in_control[VIGIE_UDP_BATCH];
	union control out_control[VIGIE_UDP_BATCH];
	struct flight flight; /* the packets' turn is one after another */
	uint8_t packet[VIGIE_UDP_BATCH][VIGIE_UDP_QUERY_MAX + PADDING];
	uint8_t answer[VIGIE_UDP_BATCH][VIGIE_UDP_SIZE_EDNS];
	struct late late;
};

/* The kernel writes over these lengths. A socket that is not asked for control messages writes none. */
static void expect_packet(struct msghdr *header)
{
	header->msg_namelen = sizeof(union address);
	header->msg_controllen = sizeof(union control);
}

struct udp_batch *udp_batch_new(void)
{
	struct udp_batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return NULL;
	for (size_t i = 0; i < VIGIE_UDP_BATCH; i++) {
		batch->in_vector[i] = (struct iovec){batch->packet[i], VIGIE_UDP_QUERY_MAX};
		batch->in[i].msg_hdr.msg_iov = &batch->in_vector[i];
		batch->in[i].msg_hdr.msg_iovlen = 1;
		batch->in[i].msg_hdr.msg_name = &batch->client[i];
		batch->in[i].msg_hdr.msg_control = &batch->in_control[i];
		expect_packet(&batch->in[i].msg_hdr);
		batch->out_vector[i].iov_base = batch->answer[i];
		batch->out[i].msg_hdr.msg_iov = &batch->out_vector[i];
		batch->out[i].msg_hdr.msg_iovlen = 1;
	}
	return batch;
}

void udp_batch_free(struct udp_batch *batch)
{
	free(batch);
}

static int set_options(int fd, int family, bool wildcard)
{
	int buffer = VIGIE_UDP_RECEIVE_BUFFER;
	int yes = 1;
	int no = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)))
		return -1;
	/* More than net.core.rmem_max is cut silently; what the kernel gives is enough to start with. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	if (family == AF_INET)
		return wildcard ? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes)) : 0;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, wildcard ? &no : &yes, sizeof(no)))
		return -1;
	return wildcard ? setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof(yes)) : 0;
}

enum vigie_status udp_open(struct udp_socket **list, const struct listener *listener,
			   struct vigie_error *error)
{
	const union address *address = &listener->address;
	struct udp_socket *udp = calloc(1, sizeof(*udp));
	char text[ADDRESS_TEXT_MAX];

	if (!udp)
		return vigie_error_memory(error);
	udp->listener = listener;
	udp->fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (udp->fd < 0 || set_options(udp->fd, address->any.sa_family, listener->wildcard) ||
	    bind(udp->fd, &address->any, address_length(address))) {
		vigie_error_set(error, VIGIE_EIO, "cannot listen on %s by UDP: %s",
				address_to_text(address, text), strerror(errno));
		udp_discard(udp);
		return VIGIE_EIO;
	}
	udp->next = *list;
	*list = udp;
	return VIGIE_OK;
}

void udp_discard(struct udp_socket *udp)
{
	if (udp->fd >= 0)
		close(udp->fd);
	free(udp);
}

void udp_attach(struct worker *worker, struct udp_socket *udp)
{
	/* It can only fail for a file that cannot be polled: a socket can. */
	uv_poll_init(&worker->loop, &udp->poll, udp->fd);
	udp->poll.data = udp;
	udp->worker = worker;
	udp->next = worker->udp_sockets;
	worker->udp_sockets = udp;
}

/* The address that a packet was sent to, from its control message. `local` is the listener's own. */
static __attribute__((noinline)) void read_local(union address *local, struct msghdr *header)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			local->v4.sin_addr = info.ipi_addr;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			local->v6.sin6_addr = info.ipi6_addr;
			/* Only a link-local address means something else on another interface. */
			local->v6.sin6_scope_id =
				IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
		}
	}
}

/* Lets the answer leave from the address that was asked. */
static __attribute__((noinline)) void write_local(const struct origin *origin, struct msghdr *header,
						  union control *control)
{
	struct cmsghdr *c = &control->align;

	header->msg_control = control;
	if (origin->local.any.sa_family == AF_INET) {
		struct in_pktinfo info = {.ipi_spec_dst = origin->local.v4.sin_addr};

		header->msg_controllen = CMSG_SPACE(sizeof(info));
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	} else {
		struct in6_pktinfo info = {.ipi6_addr = origin->local.v6.sin6_addr,
					   .ipi6_ifindex = origin->local.v6.sin6_scope_id};

		header->msg_controllen = CMSG_SPACE(sizeof(info));
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
}

/* Sends `count` answers; what the kernel does not take is lost and counted, as on the wire. */
static void send_all(struct udp_socket *udp, struct mmsghdr *out, unsigned count)
{
	unsigned sent = 0;

	while (sent < count) {
		int now = sendmmsg(udp->fd, out + sent, count - sent, 0);

		if (now < 0 && errno == EINTR)
			continue;
		if (now < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
			count_more(&udp->worker->counters.udp_unsent, count - sent);
			return;
		}
		if (now < 0) {
			/* This one cannot be sent (its client's address, say); the next may. */
			count_more(&udp->worker->counters.udp_unsent, 1);
			now = 1;
		}
		sent += (unsigned)now;
	}
}

void udp_flush(struct worker *worker)
{
	struct late *late = &worker->batch->late;

	if (late->count > 0)
		send_all(late->socket, late->out, late->count);
	late->count = 0;
}

void udp_send(struct udp_socket *udp, const struct origin *origin, const uint8_t *answer, size_t length)
{
	struct late *late = &udp->worker->batch->late;
	struct msghdr *header;
	unsigned at;

	if (late->count == LATE || late->socket != udp)
		udp_flush(udp->worker);
	late->socket = udp;
	at = late->count++;
	memcpy(late->answer[at], answer, length);
	late->client[at] = origin->client;
	late->vector[at] = (struct iovec){late->answer[at], length};
	header = &late->out[at].msg_hdr;
	*header = (struct msghdr){.msg_name = &late->client[at],
				  .msg_namelen = address_length(&late->client[at]),
				  .msg_iov = &late->vector[at],
				  .msg_iovlen = 1};
	if (origin->listener->wildcard)
		write_local(origin, header, &late->control[at]);
}

/* While there is no pressure nothing of this costs anything: the kernel stamps packets only when it is asked
 * to. */
static void pressure_set(struct udp_socket *udp, bool on)
{
	int value = on;

	udp->pressure.on = on;
	fair_init(&udp->pressure.fair);
	filter_clear(&udp->pressure.filter, udp->fd);
	udp->pressure.period_ms = udp->worker->base.now_ms + FAIR_PERIOD_MS;
	setsockopt(udp->fd, SOL_SOCKET, SO_TIMESTAMPNS, &value, sizeof(value));
}

/* After each turn, which began at `began_us`. `full`: it ended although there may be more to read. */
static void pressure_turn(struct udp_socket *udp, uint64_t began_us, bool full)
{
	struct pressure *pressure = &udp->pressure;
	uint64_t now_ms = udp->worker->base.now_ms;

	if (full)
		pressure->overflow_ms = now_ms;
	backlog_turn(&pressure->backlog, began_us, udp->worker->base.now_us, full);
	if (pressure->on != full && (full || now_ms - pressure->overflow_ms > PRESSURE_HOLD_MS))
		pressure_set(udp, full);
	if (pressure->on && now_ms >= pressure->period_ms) {
		fair_end_period(&pressure->fair, backlog_end_period(&pressure->backlog));
		filter_clear(&pressure->filter, udp->fd);
		pressure->period_ms = now_ms + FAIR_PERIOD_MS;
	}
}

static uint64_t ms_of(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * 1000 + (uint64_t)time->tv_nsec / 1000000;
}

/* When the packet came, by the wall clock in milliseconds; `otherwise` when the kernel does not say. */
static uint64_t read_stamp(struct msghdr *header, uint64_t otherwise)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec time;

			memcpy(&time, CMSG_DATA(c), sizeof(time));
			return ms_of(&time);
		}
	}
	return otherwise;
}

/* The bytes that tell a client from others. */
static const void *client_bytes(const union address *client, size_t *length)
{
	bool v4 = client->any.sa_family == AF_INET;

	*length = v4 ? sizeof(client->v4.sin_addr) : sizeof(client->v6.sin6_addr);
	return v4 ? (const void *)&client->v4.sin_addr : client->v6.sin6_addr.s6_addr;
}

/* Whether a packet is to be dropped: its client has given up, or has had more than its share. */
static __attribute__((noinline)) bool pressure_drops(struct udp_socket *udp, struct msghdr *packet,
						     uint64_t wall_ms)
{
	uint64_t stamp = read_stamp(packet, wall_ms);
	size_t length;
	const uint8_t *address = client_bytes(packet->msg_name, &length);

	if (wall_ms > stamp && wall_ms - stamp > VIGIE_UDP_AGE_MAX_MS) {
		count_more(&udp->worker->counters.udp_stale, 1);
		return true;
	}
	if (!fair_admit(&udp->pressure.fair, address, length)) {
		count_more(&udp->worker->counters.udp_unfair, 1);
		filter_add(&udp->pressure.filter, udp->fd, address + length - 4);
		return true;
	}
	return false;
}

/* Who asks for what others must be asked for has less of the rest. `begun`: exchanges before the query. */
static __attribute__((noinline)) void pressure_charge(struct udp_socket *udp, const union address *client,
						      uint64_t *begun)
{
	uint64_t now = vigie_exchanger_begun(udp->worker->base.exchanger);
	size_t length;
	const void *address = client_bytes(client, &length);

	if (now != *begun)
		fair_charge(&udp->pressure.fair, address, length, MISS_COST);
	*begun = now;
}

static uint64_t read_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ms_of(&now);
}

/* Lets a directive of the block that serves all names here fetch what it needs for all of a batch, so that
 * cache misses are waited for side by side. A name is read twice for that, which costs less than one miss. */
static __attribute__((noinline)) void look_ahead(struct udp_batch *batch, unsigned packets,
						 const struct link *link)
{
	struct vigie_query *query = &batch->flight.query; /* no query is under way yet */
	uint64_t state[VIGIE_UDP_BATCH] = {0};

	for (unsigned i = 0; i < packets; i++) {
		if (vigie_query_parse(query, batch->packet[i], batch->in[i].msg_len) == VIGIE_GATE_OK)
			link->directive->ahead(link->instance, 0, query, &state[i]);
	}
	for (unsigned step = 1; step < VIGIE_AHEAD_STEPS; step++) {
		for (unsigned i = 0; i < packets; i++)
			link->directive->ahead(link->instance, step, NULL, &state[i]);
	}
}

/* Reads, answers and sends one batch; returns how many packets it read. */
static unsigned udp_turn(struct udp_socket *udp)
{
	struct udp_batch *batch = udp->worker->batch;
	struct flight *flight = &batch->flight;
	bool wildcard = udp->listener->wildcard;
	struct mmsghdr *out = batch->out; /* where the next answer goes */
	int packets = recvmmsg(udp->fd, batch->in, VIGIE_UDP_BATCH, MSG_DONTWAIT, NULL);
	const struct block *only = udp->listener->only;
	const struct link *ahead;
	bool pressed = udp->pressure.on;
	uint64_t wall_ms = pressed ? read_wall_ms() : 0;
	uint64_t begun = vigie_exchanger_begun(udp->worker->base.exchanger);

	if (packets <= 0)
		return 0; /* empty, or an error that a client's ICMP caused: the next read goes on */
	flight->origin = (struct origin){
		.listener = udp->listener,
		.udp = udp,
		.local = udp->listener->address,
	};
	flight_open(flight, udp->worker, VIGIE_CHANNEL_UDP);
	ahead = packets >= AHEAD_LEAST && only ? only->ahead : NULL;
	if (ahead && ahead->directive->far(ahead->instance))
		look_ahead(batch, (unsigned)packets, ahead);
	for (struct mmsghdr *in = batch->in; in < batch->in + packets; in++) {
		struct msghdr *query = &in->msg_hdr;
		struct msghdr *answer = &out->msg_hdr;

		if (pressed && pressure_drops(udp, query, wall_ms)) {
			expect_packet(query);
			continue;
		}
		memcpy(&flight->origin.client, query->msg_name, sizeof(flight->origin.client));
		if (wildcard)
			read_local(&flight->origin.local, query);
		answer->msg_iov->iov_len = flight_answer(flight, VIGIE_CHANNEL_UDP, query->msg_iov->iov_base,
							 in->msg_len, answer->msg_iov->iov_base);
		if (pressed)
			pressure_charge(udp, query->msg_name, &begun);
		if (answer->msg_iov->iov_len > 0) {
			answer->msg_name = query->msg_name;
			answer->msg_namelen = query->msg_namelen;
			answer->msg_control = NULL;
			answer->msg_controllen = 0;
			if (wildcard)
				write_local(&flight->origin, answer, &batch->out_control[out - batch->out]);
			out++;
		}
		expect_packet(query);
	}
	flight_count(flight, VIGIE_CHANNEL_UDP);
	if (out > batch->out)
		send_all(udp, batch->out, (unsigned)(out - batch->out));
	return (unsigned)packets;
}

/* Reads until the socket is empty, or it is others' turn. Returns whether it is not empty, and has not been
 * for longer than a turn. */
static bool read_batches(struct udp_socket *udp)
{
	struct vigie_exchanger *exchanger = udp->worker->base.exchanger;
	uint64_t last = vigie_exchanger_begun(exchanger) + MISSES_A_TURN;

	for (int i = 0; i < BATCHES_A_TURN && vigie_exchanger_begun(exchanger) < last; i++) {
		if (udp_turn(udp) < VIGIE_UDP_BATCH) {
			udp->full_batches = 0;
			return false;
		}
		udp->full_batches++;
		worker_next_batch(udp->worker);
	}
	return udp->full_batches >= BATCHES_A_TURN;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct udp_socket *udp = poll->data;
	struct vigie_exchanger *exchanger = udp->worker->base.exchanger;
	uint64_t began_us;

	worker_enter(udp->worker);
	began_us = udp->worker->base.now_us;
	if (backlog_lasts(&udp->pressure.backlog))
		vigie_exchanger_allow(exchanger, MISSES_BEHIND);
	pressure_turn(udp, began_us, read_batches(udp));
	vigie_exchanger_allow(exchanger, SIZE_MAX);
	worker_leave(udp->worker);
}

void udp_start(struct udp_socket *udp)
{
	uv_poll_start(&udp->poll, UV_READABLE, on_readable);
}

void udp_drain(struct udp_socket *udp)
{
	uv_poll_stop(&udp->poll);
	while (udp_turn(udp) > 0)
		continue;
}

void udp_count_unread(struct udp_socket *udp)
{
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t length = sizeof(memory);

	if (getsockopt(udp->fd, SOL_SOCKET, SO_MEMINFO, memory, &length))
		return;
	count_more(&udp->worker->counters.udp_unread, memory[SK_MEMINFO_DROPS] - udp->unread); /* it wraps */
	udp->unread = memory[SK_MEMINFO_DROPS];
}

static void on_closed(uv_handle_t *handle)
{
	struct udp_socket *udp = handle->data;

	close(udp->fd);
	free(udp);
}

void udp_close(struct udp_socket *udp)
{
	uv_close((uv_handle_t *)&udp->poll, on_closed);
}

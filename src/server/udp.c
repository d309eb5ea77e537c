#include "udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flight.h"
#include "notify.h"

enum {
	BATCHES_A_TURN = 8 /* then the loop's other sockets have their turn */
};

/* Room for the address that was asked, of either family. */
union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
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
	uint8_t packet[VIGIE_UDP_BATCH][VIGIE_UDP_QUERY_MAX];
	uint8_t answer[VIGIE_UDP_BATCH][VIGIE_UDP_SIZE_EDNS];
};

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
		batch->out_vector[i].iov_base = NULL;
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
		return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
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

/* The address that a packet was sent to, from its control message; the listener's own where there is none. */
static void read_local(union address *local, const struct udp_socket *udp, struct msghdr *header)
{
	*local = udp->listener->address;
	if (!udp->listener->wildcard)
		return;
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
			if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
				local->v6.sin6_scope_id = info.ipi6_ifindex;
		}
	}
}

/* Lets the answer leave from the address that was asked. */
static void write_local(const struct origin *origin, struct msghdr *header, union control *control)
{
	struct cmsghdr *c = &control->align;

	if (!origin->listener->wildcard) {
		header->msg_control = NULL;
		header->msg_controllen = 0;
		return;
	}
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

void udp_send(struct udp_socket *udp, const struct origin *origin, const uint8_t *answer, size_t length)
{
	union address client = origin->client;
	struct iovec vector = {(void *)answer, length};
	struct msghdr header = {.msg_name = &client,
				.msg_namelen = address_length(&client),
				.msg_iov = &vector,
				.msg_iovlen = 1};
	union control control;

	write_local(origin, &header, &control);
	if (sendmsg(udp->fd, &header, 0) < 0)
		udp->worker->counters.udp_unsent++;
}

/* Sends `count` answers; what the kernel does not take is lost and counted, as on the wire. */
static void send_batch(struct udp_socket *udp, unsigned count)
{
	struct udp_batch *batch = udp->worker->batch;
	unsigned sent = 0;

	while (sent < count) {
		int now = sendmmsg(udp->fd, batch->out + sent, count - sent, 0);

		if (now < 0 && errno == EINTR)
			continue;
		if (now < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
			udp->worker->counters.udp_unsent += count - sent;
			return;
		}
		if (now < 0) {
			/* This one cannot be sent (its client's address, say); the next may. */
			udp->worker->counters.udp_unsent++;
			now = 1;
		}
		sent += (unsigned)now;
	}
}

/* Answers packet `i`; returns the answer's length in batch->answer[slot], 0 when nothing is to be sent now.
 */
static size_t answer_packet(struct udp_socket *udp, size_t i, size_t slot)
{
	struct worker *worker = udp->worker;
	struct udp_batch *batch = worker->batch;
	struct flight *flight = &batch->flight;
	uint8_t *answer = batch->answer[slot];
	enum vigie_gate gate;

	gate = vigie_query_parse(&flight->query, batch->packet[i], batch->in[i].msg_len);
	flight->origin.listener = udp->listener;
	flight->origin.udp = udp;
	flight->origin.connection = NULL;
	flight->origin.client = batch->client[i];
	read_local(&flight->origin.local, udp, &batch->in[i].msg_hdr);
	if (gate != VIGIE_GATE_OK) {
		size_t length = gate == VIGIE_GATE_OPCODE
					? notify_answer(udp->listener, &batch->client[i], batch->packet[i],
							batch->in[i].msg_len, answer, VIGIE_UDP_SIZE_PLAIN)
					: 0;

		if (length > 0)
			return length;
		worker->counters.refused[gate]++;
		return vigie_answer_refusal(&flight->query, gate, answer, VIGIE_UDP_SIZE_PLAIN);
	}
	worker->counters.udp_queries++;
	flight_begin(flight, worker, VIGIE_CHANNEL_UDP, answer,
		     flight_limit(&flight->query, VIGIE_CHANNEL_UDP));
	return flight_run(flight) ? vigie_answer_end(&flight->answer) : 0;
}

/* Reads, answers and sends one batch; returns how many packets it read. */
static unsigned turn(struct udp_socket *udp)
{
	struct udp_batch *batch = udp->worker->batch;
	unsigned answers = 0;
	int packets;

	for (size_t i = 0; i < VIGIE_UDP_BATCH; i++) {
		struct msghdr *header = &batch->in[i].msg_hdr;

		header->msg_namelen = sizeof(union address);
		header->msg_control = udp->listener->wildcard ? &batch->in_control[i] : NULL;
		header->msg_controllen = udp->listener->wildcard ? sizeof(union control) : 0;
	}
	packets = recvmmsg(udp->fd, batch->in, VIGIE_UDP_BATCH, MSG_DONTWAIT, NULL);
	if (packets <= 0)
		return 0; /* empty, or an error that a client's ICMP caused: the next read goes on */
	for (size_t i = 0; i < (size_t)packets; i++) {
		struct mmsghdr *out = &batch->out[answers];
		size_t length = answer_packet(udp, i, answers);

		if (length == 0)
			continue;
		batch->out_vector[answers] = (struct iovec){batch->answer[answers], length};
		out->msg_hdr.msg_name = &batch->client[i];
		out->msg_hdr.msg_namelen = batch->in[i].msg_hdr.msg_namelen;
		write_local(&batch->flight.origin, &out->msg_hdr, &batch->out_control[answers]);
		answers++;
	}
	if (answers > 0)
		send_batch(udp, answers);
	return (unsigned)packets;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct udp_socket *udp = poll->data;

	worker_enter(udp->worker);
	for (int i = 0; i < BATCHES_A_TURN && turn(udp) == VIGIE_UDP_BATCH; i++)
		worker_next_batch(udp->worker);
	worker_leave(udp->worker);
}

void udp_start(struct udp_socket *udp)
{
	uv_poll_start(&udp->poll, UV_READABLE, on_readable);
}

void udp_drain(struct udp_socket *udp)
{
	uv_poll_stop(&udp->poll);
	while (turn(udp) > 0)
		continue;
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

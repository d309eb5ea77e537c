#include "datagram.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "ports.h"
#include "vigie/clock.h"

enum {
	SIZE_MAX_UDP = 4096, /* bytes read of a datagram: it may have VIGIE_UDP_SIZE_EDNS */
	DRAWS = 32,          /* ports that are tried until one is free */
	READS = 32,          /* datagrams read before the loop's other sockets have their turn */
	EVENTS = 64,         /* sockets read in one go */
	ERRANDS = 32,        /* queries sent and sockets cleared in one go */
	DRAINS = 4,          /* datagrams behind the reply that are thrown away, to use the socket again */
	IDLE_MAX = 256       /* sockets that wait for their next query */
};

/* A socket, or room for one. It is freed with its owner only: the kernel's word that it is readable may come
 * when it has been closed, or is another one. */
struct datagram {
	struct datagram *next; /* of those that are idle, have no socket, or have an errand */
	struct datagrams *owner;
	struct attempt *attempt; /* NULL: none */
	int fd;
	sa_family_t family;
	uint16_t port; /* to be bound to, when the socket is opened */
	bool reusable; /* the kernel chooses its port, and takes it back */
	bool errand;   /* its query is to be sent, or the socket to be cleared where it has no attempt */
};

struct datagrams {
	uv_loop_t *loop;
	struct vigie_turn turn;
	uv_poll_t poll;        /* of `epoll`, once that is there */
	int epoll;             /* one for all: adding a socket to libuv's takes five system calls */
	uv_idle_t turns;       /* active while there are errands: the loop does not sleep meanwhile */
	unsigned handles;      /* that the loop has not closed yet; the memory goes with the last */
	struct datagram *idle; /* without port and peer; the last used first */
	size_t idle_count;
	struct datagram *spare;
	/* What needs several system calls for each query waits until the clients that need none have their
	 * answers, and is done a few at a time, so that new ones do not wait long. The first first. */
	struct datagram *errands;
	struct datagram **errands_end;
};

struct datagrams *datagrams_new(uv_loop_t *loop, const struct vigie_turn *turn)
{
	struct datagrams *datagrams = calloc(1, sizeof(*datagrams));

	if (!datagrams)
		return NULL;
	datagrams->loop = loop;
	datagrams->turn = *turn;
	datagrams->epoll = -1;
	datagrams->errands_end = &datagrams->errands;
	uv_idle_init(loop, &datagrams->turns);
	datagrams->turns.data = datagrams;
	datagrams->handles = 1;
	return datagrams;
}

static void free_list(struct datagram *list)
{
	while (list) {
		struct datagram *next = list->next;

		if (list->fd >= 0)
			close(list->fd);
		free(list);
		list = next;
	}
}

static void on_closed(uv_handle_t *handle)
{
	struct datagrams *datagrams = handle->data;

	if (--datagrams->handles > 0)
		return;
	if (datagrams->epoll >= 0)
		close(datagrams->epoll);
	free_list(datagrams->errands);
	free_list(datagrams->idle);
	free_list(datagrams->spare);
	free(datagrams);
}

void datagrams_close(struct datagrams *datagrams)
{
	if (datagrams->epoll >= 0)
		uv_close((uv_handle_t *)&datagrams->poll, on_closed);
	uv_close((uv_handle_t *)&datagrams->turns, on_closed);
}

static void on_turn(uv_idle_t *turns);

static void put_off(struct datagram *datagram)
{
	struct datagrams *owner = datagram->owner;

	if (datagram->errand)
		return;
	if (!owner->errands)
		uv_idle_start(&owner->turns, on_turn);
	datagram->errand = true;
	datagram->next = NULL;
	*owner->errands_end = datagram;
	owner->errands_end = &datagram->next;
}

static void discard(struct datagram *datagram)
{
	if (datagram->fd >= 0)
		close(datagram->fd); /* that takes it out of the epoll, too */
	datagram->fd = -1;
	datagram->next = datagram->owner->spare;
	datagram->owner->spare = datagram;
}

/* Nothing that came for one attempt is there to be read by the next. False: it does not end, or the socket is
 * broken. */
static bool drain(int fd)
{
	uint8_t byte;

	for (int i = 0; i < DRAINS; i++) {
		if (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) < 0 && errno == EAGAIN)
			return true;
	}
	return false;
}

void datagram_drop(struct attempt *attempt)
{
	struct datagram *datagram = attempt->handle;

	datagram->attempt = NULL;
	put_off(datagram);
}

/* After an attempt. */
static void clear(struct datagram *datagram)
{
	static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	struct datagrams *owner = datagram->owner;

	/* From here on it has no port, so nothing more comes. */
	if (datagram->fd >= 0 && datagram->reusable && owner->idle_count < IDLE_MAX &&
	    connect(datagram->fd, &nobody, sizeof(nobody)) == 0 && drain(datagram->fd)) {
		datagram->next = owner->idle;
		owner->idle = datagram;
		owner->idle_count++;
		return;
	}
	discard(datagram);
}

static void read_all(struct datagram *datagram)
{
	uint8_t message[SIZE_MAX_UDP];

	for (int i = 0; i < READS && datagram->attempt; i++) {
		ssize_t got = recv(datagram->fd, message, sizeof(message), MSG_DONTWAIT);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got < 0)
			exchange_failed(datagram->attempt, -errno, uv_strerror(-errno));
		else
			exchange_message(datagram->attempt, message, (size_t)got);
	}
}

void datagram_read(struct attempt *attempt)
{
	struct datagram *datagram = attempt->handle;

	if (!datagram->errand)
		read_all(datagram);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct datagrams *datagrams = poll->data;
	struct epoll_event ready[EVENTS];
	int count = epoll_wait(datagrams->epoll, ready, EVENTS, 0);

	datagrams->turn.enter(datagrams->turn.argument);
	for (int i = 0; i < count; i++) {
		struct datagram *datagram = ready[i].data.ptr;

		if (datagram->attempt)
			read_all(datagram);
		else if (datagram->fd >= 0)
			drain(datagram->fd); /* it was on its way when the socket became idle */
	}
	datagrams->turn.leave(datagrams->turn.argument);
}

static int open_epoll(struct datagrams *datagrams)
{
	int error;

	if (datagrams->epoll >= 0)
		return 0;
	datagrams->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (datagrams->epoll < 0)
		return -errno;
	error = uv_poll_init(datagrams->loop, &datagrams->poll, datagrams->epoll);
	if (error) {
		close(datagrams->epoll);
		datagrams->epoll = -1;
		return error;
	}
	datagrams->poll.data = datagrams;
	datagrams->handles++;
	return uv_poll_start(&datagrams->poll, UV_READABLE, on_readable);
}

/* The path's MTU is never learned from ICMP, which can be forged to cause fragments (RFC 9715 section 3.1).
 */
static void set_options(int fd, sa_family_t family)
{
	int omit = family == AF_INET ? IP_PMTUDISC_OMIT : IPV6_PMTUDISC_OMIT;

	if (family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit, sizeof(omit));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &omit, sizeof(omit));
}

/* One without a port, that was used before. NULL: there is none. */
static struct datagram *take_idle(struct datagrams *datagrams, sa_family_t family)
{
	struct datagram **place = &datagrams->idle;
	struct datagram *datagram;

	while (*place && (*place)->family != family)
		place = &(*place)->next;
	datagram = *place;
	if (!datagram)
		return NULL;
	*place = datagram->next;
	datagrams->idle_count--;
	return datagram;
}

/* One without a socket. NULL: memory is out. */
static struct datagram *take_spare(struct datagrams *datagrams, sa_family_t family)
{
	struct datagram *datagram = datagrams->spare;

	if (datagram)
		datagrams->spare = datagram->next;
	else
		datagram = malloc(sizeof(*datagram));
	if (datagram)
		*datagram = (struct datagram){.owner = datagrams, .family = family, .fd = -1};
	return datagram;
}

static int bind_to(int fd, const struct sockaddr_storage *source, sa_family_t family, uint16_t port)
{
	struct sockaddr_storage address = {.ss_family = family};
	socklen_t length = address_length((struct sockaddr *)&address);

	if (source->ss_family == family)
		memcpy(&address, source, length);
	address_set_port((struct sockaddr *)&address, port);
	return bind(fd, (struct sockaddr *)&address, length) ? -errno : 0;
}

/* Binds to a random port of the pool, the drawn one if it is free. Negative errno. */
static int bind_somewhere(int fd, const struct sockaddr_storage *source, sa_family_t family, uint16_t port)
{
	for (int i = 0; i < DRAWS; i++, port = ports_draw()) {
		int error = bind_to(fd, source, family, port);

		if (error != -EADDRINUSE && error != -EACCES)
			return error;
	}
	return -EADDRINUSE;
}

/* One whose port is a random one of the pool: each as likely as any other. Those that the kernel would give
 * by itself, when it is asked for any, it may choose by itself: such a socket can be used again with another
 * port, which saves a third of what a query costs. A socket that was bound cannot. NULL: memory is out. */
static struct datagram *take(struct datagrams *datagrams, const struct sockaddr_storage *source,
			     sa_family_t family)
{
	uint16_t port = ports_draw();
	bool reusable = source->ss_family != family && ports_are_kernels(port);
	struct datagram *datagram = reusable ? take_idle(datagrams, family) : NULL;

	if (datagram)
		return datagram;
	datagram = take_spare(datagrams, family);
	if (datagram) {
		datagram->port = port;
		datagram->reusable = reusable;
	}
	return datagram;
}

/* Opens the socket, which the loop listens to. Negative errno. */
static int open_socket(struct datagram *datagram)
{
	struct datagrams *owner = datagram->owner;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = datagram};
	int error = open_epoll(owner);

	if (error)
		return error;
	datagram->fd = socket(datagram->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (datagram->fd < 0)
		return -errno;
	set_options(datagram->fd, datagram->family);
	if (epoll_ctl(owner->epoll, EPOLL_CTL_ADD, datagram->fd, &event))
		error = -errno;
	else if (!datagram->reusable)
		error = bind_somewhere(datagram->fd, &datagram->attempt->exchange->set->group->options.source,
				       datagram->family, datagram->port);
	if (error) {
		close(datagram->fd);
		datagram->fd = -1;
	}
	return error;
}

/* Sends the query of an attempt. Negative errno. */
static int send_query(struct datagram *datagram)
{
	struct attempt *attempt = datagram->attempt;
	const struct sockaddr *to = (const struct sockaddr *)&attempt->upstream->target.address;
	int error = datagram->fd < 0 ? open_socket(datagram) : 0;

	if (error)
		return error;
	attempt->sent_us = vigie_clock_us();
	/* A connected socket hears of a closed port, and takes datagrams from nobody else. */
	if (connect(datagram->fd, to, address_length(to)) ||
	    send(datagram->fd, attempt->asked, attempt->asked_length, 0) < 0)
		return -errno;
	return 0;
}

static void on_turn(uv_idle_t *turns)
{
	struct datagrams *datagrams = turns->data;

	for (int i = 0; i < ERRANDS && datagrams->errands; i++) {
		struct datagram *datagram = datagrams->errands;
		int error;

		datagrams->errands = datagram->next;
		if (!datagrams->errands)
			datagrams->errands_end = &datagrams->errands;
		datagram->errand = false;
		if (!datagram->attempt) {
			clear(datagram);
			continue;
		}
		error = send_query(datagram);
		if (error) {
			datagrams->turn.enter(datagrams->turn.argument);
			exchange_failed(datagram->attempt, error, uv_strerror(error));
			datagrams->turn.leave(datagrams->turn.argument);
		}
	}
	if (!datagrams->errands)
		uv_idle_stop(turns);
}

int datagram_send(struct datagrams *datagrams, struct attempt *attempt)
{
	const struct sockaddr *to = (const struct sockaddr *)&attempt->upstream->target.address;
	struct datagram *datagram =
		take(datagrams, &attempt->exchange->set->group->options.source, to->sa_family);

	if (!datagram)
		return -ENOMEM;
	datagram->attempt = attempt;
	attempt->handle = datagram;
	put_off(datagram);
	return 0;
}

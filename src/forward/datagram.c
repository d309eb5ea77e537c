#include "datagram.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "ports.h"

enum {
	SIZE_MAX_UDP = 4096, /* bytes read of a datagram: it may have VIGIE_UDP_SIZE_EDNS */
	DRAWS = 32,          /* ports that are tried until one is free */
	READS = 32           /* datagrams read before the loop's other sockets have their turn */
};

struct datagram {
	uv_poll_t poll;
	int fd;
	struct attempt *attempt; /* NULL: forgotten */
};

static void on_closed(uv_handle_t *handle)
{
	struct datagram *datagram = handle->data;

	close(datagram->fd);
	free(datagram);
}

void datagram_drop(struct attempt *attempt)
{
	struct datagram *datagram = attempt->handle;

	datagram->attempt = NULL;
	uv_close((uv_handle_t *)&datagram->poll, on_closed);
}

static void read_all(struct datagram *datagram)
{
	uint8_t message[SIZE_MAX_UDP];

	for (int i = 0; i < READS && datagram->attempt; i++) {
		ssize_t got = recv(datagram->fd, message, sizeof(message), MSG_DONTWAIT);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got < 0)
			exchange_failed(datagram->attempt, -errno, strerror(errno));
		else
			exchange_message(datagram->attempt, message, (size_t)got);
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	read_all(poll->data);
}

void datagram_read(struct attempt *attempt)
{
	read_all(attempt->handle);
}

/* Binds to a random port of the pool. Negative errno. */
static int bind_somewhere(int fd, const struct sockaddr_storage *source, int family)
{
	for (int i = 0; i < DRAWS; i++) {
		struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
		socklen_t length = address_length((struct sockaddr *)&address);

		if (source->ss_family == family)
			memcpy(&address, source, length);
		address_set_port((struct sockaddr *)&address, ports_draw());
		if (bind(fd, (struct sockaddr *)&address, length) == 0)
			return 0;
		if (errno != EADDRINUSE && errno != EACCES)
			return -errno;
	}
	return -EADDRINUSE;
}

/* The path's MTU is never learned from ICMP, which can be forged to cause fragments (RFC 9715 section 3.1).
 */
static void set_options(int fd, int family)
{
	int omit = family == AF_INET ? IP_PMTUDISC_OMIT : IPV6_PMTUDISC_OMIT;

	if (family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit, sizeof(omit));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &omit, sizeof(omit));
}

int datagram_send(uv_loop_t *loop, struct attempt *attempt)
{
	const struct sockaddr *to = (const struct sockaddr *)&attempt->upstream->target.address;
	struct datagram *datagram = calloc(1, sizeof(*datagram));
	int error;

	if (!datagram)
		return -ENOMEM;
	datagram->attempt = attempt;
	datagram->fd = socket(to->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (datagram->fd < 0) {
		error = -errno;
		goto fail;
	}
	set_options(datagram->fd, to->sa_family);
	error = bind_somewhere(datagram->fd, &attempt->exchange->set->group->options.source, to->sa_family);
	if (error)
		goto fail;
	/* A connected socket hears of a closed port, and takes datagrams from nobody else. */
	if (connect(datagram->fd, to, address_length(to)) ||
	    send(datagram->fd, attempt->asked, attempt->asked_length, 0) < 0) {
		error = -errno;
		goto fail;
	}
	error = uv_poll_init(loop, &datagram->poll, datagram->fd);
	if (error)
		goto fail;
	datagram->poll.data = datagram;
	uv_poll_start(&datagram->poll, UV_READABLE, on_readable);
	attempt->handle = datagram;
	return 0;

fail:
	if (datagram->fd >= 0)
		close(datagram->fd);
	free(datagram);
	return error;
}

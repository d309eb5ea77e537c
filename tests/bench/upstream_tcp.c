/* The upstream's connections. */
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "upstream.h"

void stream_accept(struct upstream *upstream)
{
	int fd = accept4(upstream->listener, NULL, NULL, SOCK_NONBLOCK);
	struct epoll_event event = {.events = EPOLLIN};

	if (fd < 0)
		return;
	for (unsigned i = 0; i < CONNECTIONS; i++) {
		struct connection *connection = &upstream->connections[i];

		if (connection->fd > 0)
			continue;
		connection->fd = fd;
		connection->serial++;
		connection->waiting = 0;
		connection->used = 0;
		upstream->counts.connections++;
		event.data.u32 = i;
		epoll_ctl(upstream->epoll, EPOLL_CTL_ADD, fd, &event);
		return;
	}
	close(fd);
}

static void end(struct connection *connection)
{
	close(connection->fd);
	connection->fd = 0;
}

void stream_read(struct upstream *upstream, int index)
{
	struct connection *connection = &upstream->connections[index];
	ssize_t got = read(connection->fd, connection->in + connection->used, STREAM_MOST - connection->used);
	size_t at = 0;

	if (got <= 0) {
		end(connection);
		return;
	}
	connection->used += (size_t)got;
	while (connection->used - at >= 2) {
		size_t length = (size_t)(connection->in[at] << 8 | connection->in[at + 1]);

		if (connection->used - at < 2 + length)
			break;
		if (length > QUERY_MOST) { /* nothing that a forwarder asks */
			end(connection);
			return;
		}
		upstream->counts.tcp++;
		if (++connection->waiting > upstream->counts.deepest)
			upstream->counts.deepest = connection->waiting;
		answer_query(upstream, connection->in + at + 2, length, NULL, index);
		at += 2 + length;
	}
	connection->used -= at;
	memmove(connection->in, connection->in + at, connection->used);
}

void stream_send(struct upstream *upstream, const struct answer *answer)
{
	struct connection *connection = &upstream->connections[answer->connection];
	uint8_t size[2] = {(uint8_t)(answer->length >> 8), (uint8_t)answer->length};
	struct iovec frame[2] = {{size, 2}, {(void *)answer->bytes, answer->length}};

	if (connection->fd == 0 || connection->serial != answer->serial)
		return;
	connection->waiting--;
	/* Answers are small and clients read them: what does not fit at once ends the connection. */
	if (writev(connection->fd, frame, 2) != (ssize_t)(2 + answer->length))
		end(connection);
}

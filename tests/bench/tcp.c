#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

void tcp_open(const struct run *run, struct client *client, unsigned index)
{
	int yes = 1;

	client->fd = socket(AF_INET, SOCK_STREAM, 0);
	client->stream = calloc(1, sizeof(*client->stream));
	client_bind(run, client->fd, index);
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (client->fd < 0 || !client->stream ||
	    connect(client->fd, (const struct sockaddr *)&run->server, sizeof(run->server))) {
		perror("generator: tcp");
		exit(1);
	}
}

static void flush(struct client *client)
{
	struct stream *stream = client->stream;
	ssize_t took = send(client->fd, stream->out, stream->unwritten, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (took <= 0)
		return;
	stream->unwritten -= (size_t)took;
	memmove(stream->out, stream->out + took, stream->unwritten);
}

unsigned tcp_ask(struct run *run, struct client *client, unsigned most)
{
	struct stream *stream = client->stream;
	uint64_t now = now_ns();
	unsigned count = 0;

	while (count < most && STREAM_BUFFER - stream->unwritten >= 2 + QUESTION_MAX) {
		uint8_t *frame = stream->out + stream->unwritten;
		size_t length = client_take(run, client, now, frame + 2);

		if (length == 0)
			break;
		frame[0] = (uint8_t)(length >> 8);
		frame[1] = (uint8_t)length;
		stream->unwritten += 2 + length;
		count++;
	}
	if (stream->unwritten > 0)
		flush(client);
	return count;
}

void tcp_read(struct run *run, struct client *client)
{
	struct stream *stream = client->stream;
	ssize_t got =
		recv(client->fd, stream->in + stream->unread, STREAM_BUFFER - stream->unread, MSG_DONTWAIT);
	uint64_t now = now_ns();
	size_t at = 0;

	if (got == 0) {
		fprintf(stderr, "generator: the server closed a connection\n");
		exit(1);
	}
	if (got < 0)
		return;
	stream->unread += (size_t)got;
	while (stream->unread - at >= 2) {
		size_t length = (size_t)stream->in[at] << 8 | stream->in[at + 1];

		if (stream->unread - at < 2 + length)
			break;
		client_answer(run, client, stream->in + at + 2, length, now);
		at += 2 + length;
	}
	stream->unread -= at;
	memmove(stream->in, stream->in + at, stream->unread);
}

#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "client.h"

enum {
	PACKET = 1536 /* bytes of an answer that are read */
};

void udp_open(const struct run *run, struct client *client, unsigned index)
{
	client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	client_bind(run, client->fd, index);
	if (client->fd < 0 ||
	    connect(client->fd, (const struct sockaddr *)&run->server, sizeof(run->server))) {
		perror("generator: udp");
		exit(1);
	}
}

/* One message whose segments are queries of the same length. */
static int send_segments(struct client *client, struct mmsghdr *messages, unsigned count)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
	} control = {0};
	struct iovec vectors[IN_FLIGHT_MAX];
	struct msghdr header = {
		.msg_iov = vectors, .msg_control = &control, .msg_controllen = sizeof(control)};
	uint16_t length = (uint16_t)messages[0].msg_hdr.msg_iov->iov_len;

	while (header.msg_iovlen < count && messages[header.msg_iovlen].msg_hdr.msg_iov->iov_len == length) {
		vectors[header.msg_iovlen] = *messages[header.msg_iovlen].msg_hdr.msg_iov;
		header.msg_iovlen++;
	}
	control.align.cmsg_level = IPPROTO_UDP;
	control.align.cmsg_type = UDP_SEGMENT;
	control.align.cmsg_len = CMSG_LEN(sizeof(length));
	memcpy(CMSG_DATA(&control.align), &length, sizeof(length));
	return sendmsg(client->fd, &header, 0) < 0 ? -1 : (int)header.msg_iovlen;
}

unsigned udp_ask(struct run *run, struct client *client, unsigned most)
{
	static uint8_t packets[IN_FLIGHT_MAX][QUESTION_MAX];
	static struct iovec vectors[IN_FLIGHT_MAX];
	static struct mmsghdr messages[IN_FLIGHT_MAX];
	uint64_t now = now_ns();
	unsigned count = 0;
	unsigned sent = 0;

	while (count < most && count < IN_FLIGHT_MAX) {
		size_t length = client_take(run, client, now, packets[count]);

		if (length == 0)
			break;
		vectors[count] = (struct iovec){packets[count], length};
		messages[count].msg_hdr = (struct msghdr){.msg_iov = &vectors[count], .msg_iovlen = 1};
		count++;
	}
	while (sent < count) {
		int took = run->segments ? send_segments(client, messages + sent, count - sent)
					 : sendmmsg(client->fd, messages + sent, count - sent, 0);

		if (took <= 0)
			break;
		sent += (unsigned)took;
	}
	for (unsigned i = sent; i < count; i++)
		client_untake(run, client, packets[i]);
	return sent;
}

void udp_read(struct run *run, struct client *client)
{
	static uint8_t packets[IN_FLIGHT_MAX][PACKET];
	static struct iovec vectors[IN_FLIGHT_MAX];
	static struct mmsghdr messages[IN_FLIGHT_MAX];
	uint64_t now;
	int count;

	for (int i = 0; i < IN_FLIGHT_MAX; i++) {
		vectors[i] = (struct iovec){packets[i], PACKET};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
	}
	count = recvmmsg(client->fd, messages, IN_FLIGHT_MAX, MSG_DONTWAIT, NULL);
	now = now_ns();
	for (int i = 0; i < count; i++)
		client_answer(run, client, packets[i], messages[i].msg_len, now);
}

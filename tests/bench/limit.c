/* The limit that vigie is measured against: a UDP responder that parses nothing. It turns each packet into
 * its own answer (QR set, one A record behind the question) in batches, by the system calls that no DNS
 * server can do without. A query must have no OPT record.
 *
 *     limit PORT     on 127.0.0.1, until it is killed */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
	BATCH = 64,
	PACKET = 1536,
	RECORD = 16 /* bytes of an A record whose owner is a pointer */
};

static uint8_t packets[BATCH][PACKET + RECORD];
static struct sockaddr_in clients[BATCH];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

static void answer(uint8_t *packet, struct iovec *vector, size_t length)
{
	static const uint8_t record[RECORD] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 96, 0, 1};

	packet[2] |= 0x80;
	packet[7] = 1;
	memcpy(packet + length, record, RECORD);
	vector->iov_len = length + RECORD;
}

static int turn(int fd)
{
	int count;

	for (int i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){packets[i], PACKET};
		messages[i].msg_hdr = (struct msghdr){.msg_name = &clients[i],
						      .msg_namelen = sizeof(clients[i]),
						      .msg_iov = &vectors[i],
						      .msg_iovlen = 1};
	}
	count = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < count; i++)
		answer(packets[i], &vectors[i], messages[i].msg_len);
	for (int sent = 0; sent < count;) {
		int took = sendmmsg(fd, messages + sent, (unsigned)(count - sent), 0);

		if (took <= 0)
			break;
		sent += took;
	}
	return count;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int size = 4 << 20;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int epoll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};

	address.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) {
		perror("limit");
		return 1;
	}
	for (;;) {
		if (turn(fd) < BATCH)
			epoll_wait(epoll, &event, 1, -1);
	}
}

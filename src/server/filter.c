#include "filter.h"

#include <linux/filter.h>
#include <sys/socket.h>

enum {
	IP_VERSION = SKF_NET_OFF,           /* offsets in the packet: the first byte of the IP header, */
	IPV4_SOURCE = SKF_NET_OFF + 12,     /* the source address, */
	IPV6_SOURCE_END = SKF_NET_OFF + 20, /* and its last four bytes */
	PROLOGUE = 6                        /* instructions before the comparisons */
};

static void attach(const struct filter *filter, int fd)
{
	struct sock_filter program[PROLOGUE + FILTER_CLIENTS_MAX + 2] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)IP_VERSION),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 2, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)IPV4_SOURCE),
		BPF_STMT(BPF_JMP | BPF_JA, 1),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)IPV6_SOURCE_END),
	};
	struct sock_fprog whole = {.filter = program};
	size_t at = PROLOGUE;

	for (size_t i = 0; i < filter->count; i++)
		program[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, filter->clients[i],
							     (uint8_t)(filter->count - i), 0);
	program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	whole.len = (unsigned short)at;
	/* Without it they are dropped when they are read, at a higher price. */
	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &whole, sizeof(whole));
}

void filter_add(struct filter *filter, int fd, const uint8_t *last_four)
{
	uint32_t client = (uint32_t)last_four[0] << 24 | (uint32_t)last_four[1] << 16 |
			  (uint32_t)last_four[2] << 8 | last_four[3];

	for (size_t i = 0; i < filter->count; i++) {
		if (filter->clients[i] == client)
			return;
	}
	if (filter->count == FILTER_CLIENTS_MAX)
		return;
	filter->clients[filter->count++] = client;
	attach(filter, fd);
}

void filter_clear(struct filter *filter, int fd)
{
	int nothing = 0;

	if (filter->count > 0)
		setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &nothing, sizeof(nothing));
	filter->count = 0;
}

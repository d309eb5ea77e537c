/* Has the kernel drop what some clients send to a socket, before it takes room in the queue or time of the
 * worker (a classic BPF program, SO_ATTACH_FILTER; no privilege is needed). */
#ifndef VIGIE_SERVER_FILTER_H
#define VIGIE_SERVER_FILTER_H

#include <stddef.h>
#include <stdint.h>

enum {
	FILTER_CLIENTS_MAX = 16 /* clients that one socket's filter names */
};

struct filter {
	uint32_t clients[FILTER_CLIENTS_MAX]; /* the last four bytes of their addresses, host byte order */
	size_t count;
};

/* Adds a client, whose address ends in these four bytes; more than FILTER_CLIENTS_MAX are let through. */
void filter_add(struct filter *filter, int fd, const uint8_t *last_four);

/* Lets everything through again. */
void filter_clear(struct filter *filter, int fd);

#endif

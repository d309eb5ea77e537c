/* Fair shares of a socket that has more queries than its worker can answer: clients that ask for more than
 * their share lose queries, the others do not.
 *
 * While the socket overflows, the most that one client may ask in a period is lowered step by step, until the
 * socket is read empty again or the limit is FAIR_LEAST equal shares; then it rises. A client that has
 * reached it is the kernel's to drop until the period ends (filter.h). Clients that all ask for the same are
 * so never limited: of what is too much the kernel drops the same part of each. */
#ifndef VIGIE_SERVER_FAIR_H
#define VIGIE_SERVER_FAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FAIR_ROWS = 2,       /* a client has a bucket in each: what counts is the one that counted less */
	FAIR_BUCKETS = 1024, /* of a row; clients that share one in each share them for one period */
	FAIR_PERIOD_MS = 100,
	FAIR_LEAST = 2 /* equal shares that each client may always have */
};

struct fair {
	uint32_t limit;    /* queries of one client in this period; UINT32_MAX: no limit */
	uint32_t served;   /* queries let through in this period */
	uint32_t capacity; /* the most that were let through in a period without a limit, lately */
	uint32_t salt;     /* changes with each period, so that clients do not share a bucket for long */
	uint32_t asked[FAIR_ROWS][FAIR_BUCKETS];
};

void fair_init(struct fair *fair);

/* Whether a query of this client is to be answered. `address` is `length` bytes, at most 16. */
bool fair_admit(struct fair *fair, const void *address, size_t length);

/* A query of this client that was let through cost as much as so many more. */
void fair_charge(struct fair *fair, const void *address, size_t length, uint32_t cost);

/* A period ends. `overflowed`: the socket was never read empty in it, or not for long. */
void fair_end_period(struct fair *fair, bool overflowed);

/* How long there were more queries in a socket than a turn reads. That there are for a moment tells of a
 * burst, or of a worker that had to wait for its CPU, not of a client that asks for too much. */
struct backlog {
	uint64_t first_us; /* since when; 0: there are none */
	uint64_t since_us; /* up to when that is in the total */
	uint64_t total_us; /* in this period */
};

/* A turn from `began_us` to `now_us` has ended; `full`: with queries left. */
void backlog_turn(struct backlog *backlog, uint64_t began_us, uint64_t now_us, bool full);

/* Whether it has been so for as long as half a period. */
bool backlog_lasts(const struct backlog *backlog);

/* A period ends: whether it was so for half of it. */
bool backlog_end_period(struct backlog *backlog);

#endif

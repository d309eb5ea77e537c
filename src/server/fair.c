#include "fair.h"

#include <string.h>

#include "vigie/hash.h"

enum {
	LONG_US = FAIR_PERIOD_MS * 1000 / 2 /* what takes longer is no burst */
};

static const uint32_t no_limit = UINT32_MAX;

void fair_init(struct fair *fair)
{
	memset(fair, 0, sizeof(*fair));
	fair->limit = no_limit;
}

/* Counts `more` of a client. Returns what it has asked in this period: a little more, where others have a
 * bucket with it in each row (a count-min sketch). */
static uint32_t count(struct fair *fair, const void *address, size_t length, uint32_t more)
{
	uint8_t key[16 + sizeof(fair->salt)];
	uint64_t hash;
	uint32_t asked = UINT32_MAX;

	memcpy(key, &fair->salt, sizeof(fair->salt));
	memcpy(key + sizeof(fair->salt), address, length);
	hash = vigie_hash(key, sizeof(fair->salt) + length);
	for (int row = 0; row < FAIR_ROWS; row++, hash >>= 32) {
		uint32_t *bucket = &fair->asked[row][hash % FAIR_BUCKETS];

		*bucket += more;
		if (*bucket < asked)
			asked = *bucket;
	}
	return asked;
}

bool fair_admit(struct fair *fair, const void *address, size_t length)
{
	if (count(fair, address, length, 1) > fair->limit)
		return false;
	fair->served++;
	return true;
}

void fair_charge(struct fair *fair, const void *address, size_t length, uint32_t cost)
{
	count(fair, address, length, cost);
	fair->served += cost;
}

/* The most that one client asked, and how many clients there were, each by the row in which fewer share a
 * bucket. */
static uint32_t find_most(const struct fair *fair, uint32_t *clients)
{
	uint32_t least = UINT32_MAX;

	*clients = 0;
	for (int row = 0; row < FAIR_ROWS; row++) {
		uint32_t most = 0;
		uint32_t used = 0;

		for (size_t i = 0; i < FAIR_BUCKETS; i++) {
			used += fair->asked[row][i] > 0;
			if (fair->asked[row][i] > most)
				most = fair->asked[row][i];
		}
		if (most < least)
			least = most;
		if (used > *clients)
			*clients = used;
	}
	return least;
}

void fair_end_period(struct fair *fair, bool overflowed)
{
	uint32_t clients;
	uint32_t most = find_most(fair, &clients);

	if (overflowed && clients > 1) {
		uint64_t least;
		uint64_t limit = fair->limit < most ? fair->limit : most;

		if (fair->limit == no_limit)
			fair->capacity = fair->served;
		least = (uint64_t)fair->capacity * FAIR_LEAST / clients;
		limit = limit * 3 / 4;
		fair->limit = (uint32_t)(limit > least ? limit : least);
	} else if (fair->limit != no_limit) {
		fair->limit = fair->limit > most ? no_limit : fair->limit + fair->limit / 16 + 1;
	}
	memset(fair->asked, 0, sizeof(fair->asked));
	fair->served = 0;
	fair->salt++;
}

void backlog_turn(struct backlog *backlog, uint64_t began_us, uint64_t now_us, bool full)
{
	if (backlog->first_us == 0 && full)
		backlog->first_us = backlog->since_us = began_us;
	if (backlog->first_us > 0)
		backlog->total_us += now_us - backlog->since_us;
	backlog->since_us = now_us;
	if (!full)
		backlog->first_us = 0;
}

bool backlog_lasts(const struct backlog *backlog)
{
	return backlog->first_us > 0 && backlog->since_us - backlog->first_us >= LONG_US;
}

bool backlog_end_period(struct backlog *backlog)
{
	bool overflowed = backlog->total_us >= LONG_US;

	backlog->total_us = 0;
	return overflowed;
}

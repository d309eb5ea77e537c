/* Questions under way, in the whole process: whoever asks what another one waits for, waits with him. So
 * there is one query at a time for a forger to answer, and one for an upstream, however many clients ask.
 *
 * What tells questions apart is what makes their answers differ: name (case aside), type, RD, DO, CD and
 * who is asked; nothing else that a client may choose (RFC 5452 section 5, CVE-2025-5994). */
#ifndef VIGIE_FORWARD_INFLIGHT_H
#define VIGIE_FORWARD_INFLIGHT_H

#include "exchange.h"

struct inflight;

/* Somebody who waits for a reply; made and freed by the exchanger of his thread. */
struct waiter {
	struct waiter *next; /* in the entry's list; then in the exchanger's box. Behind the entry's lock */
	struct waiter *previous;
	struct inflight *entry; /* behind the entry's lock; NULL when a parcel is there */
	struct parcel *parcel;  /* a reference, behind the box's lock until it is taken out */
	struct vigie_exchanger *exchanger;
	struct vigie_upstreams *group; /* a reference */
	uint64_t hash;
	/* The thread's own. */
	struct waiter *later; /* in the exchanger's list, by age */
	struct waiter *earlier;
	uint64_t start_ms;
	uint32_t bucket; /* of the client's address */
	bool patient;
	vigie_exchange_done *done;
	void *argument;
};

/* An outcome for many. */
struct parcel {
	atomic_uint references;
	struct vigie_outcome outcome; /* points into the rest */
	char upstream[80];
	char trouble[TROUBLE_MAX];
	uint8_t reply[];
};

/* A copy with one reference; NULL when memory is out. */
struct parcel *parcel_new(const struct vigie_outcome *outcome);
void parcel_release(struct parcel *parcel);

enum inflight_place { INFLIGHT_FIRST, INFLIGHT_JOINED, INFLIGHT_NO_MEMORY };

/* Puts a waiter to the question that he asks. The first asks the upstreams and ends the entry. */
enum inflight_place inflight_join(struct waiter *waiter, const struct vigie_upstreams *group,
				  const struct question *question);

/* Says what keeps the reply from coming, for those who leave early. */
void inflight_set_trouble(struct inflight *entry, const char *text);

/* Takes a waiter away. False: it is too late, a parcel is there. Else `trouble` (TROUBLE_MAX bytes) says what
 * was in the way. */
bool inflight_leave(struct waiter *waiter, char *trouble);

/* The question has ended: hands a parcel to `deliver` for each waiter, in the order in which they came, and
 * forgets it. `deliver` must not come back here. */
void inflight_end(struct inflight *entry, struct parcel *parcel,
		  void (*deliver)(struct waiter *waiter, struct parcel *parcel));

/* Counts a waiter of a client: false when there are too many, of this client or in all. */
bool inflight_admit(const struct sockaddr *client, uint32_t *bucket);
void inflight_discharge(uint32_t bucket);

#endif

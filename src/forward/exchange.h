/* One question to a group of upstreams: which of them is asked when and how, and which reply is taken. Does
 * no I/O itself: `struct net` does, the exchanger's or a test's. */
#ifndef VIGIE_FORWARD_EXCHANGE_H
#define VIGIE_FORWARD_EXCHANGE_H

#include "upstream.h"

enum {
	ASKED_MAX = VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4 + 11 +
		    VIGIE_OPTIONS_FORWARD_MAX, /* bytes of a query: question and OPT */
	REASON_MAX = 160,
	TROUBLE_MAX = 80 + 2 + REASON_MAX /* "UPSTREAM: REASON" */
};

struct exchange;

/* One query that was sent. */
struct attempt {
	struct exchange *exchange;
	struct upstream *upstream; /* of the exchange's set */
	size_t index;              /* its number there */
	enum vigie_protocol protocol;
	void *handle;  /* the net's; NULL when it holds nothing (any more) */
	bool edns;     /* an OPT record was sent */
	bool shook;    /* a connection is made first: the time until the reply is no round trip */
	bool hopeless; /* a reply may come, but nobody waits for it alone */
	bool lost;     /* no reply came in time */
	uint64_t sent_us;
	uint64_t lost_us; /* when it counts as lost */
	size_t asked_length;
	uint8_t asked[ASKED_MAX];
};

/* What an exchange needs of the world. Nothing here calls the exchange back before it returns. */
struct net {
	/* Sends attempt->asked to attempt->upstream by attempt->protocol. `again`: an earlier query of this
	 * exchange had no reply from there, so a connection that is open may be dead. 0, or a negative errno;
	 * sets attempt->handle and attempt->shook. */
	int (*send)(void *net, struct attempt *attempt, bool again);
	/* Forgets attempt->handle. */
	void (*drop)(void *net, struct attempt *attempt);
	/* exchange_due is to be called at `at_us`, and not at the time that was said before. */
	void (*wake)(void *net, struct exchange *exchange, uint64_t at_us);
};

struct question {
	struct vigie_name name;
	uint16_t type;
	bool rd;
	bool edns_do;
	bool cd;
	uint8_t options_length;
	uint8_t options[VIGIE_OPTIONS_FORWARD_MAX]; /* EDNS options that the upstream is to see */
};

/* Called at the end, which is never within exchange_start. The exchange may be freed in it. */
typedef void exchange_done(struct exchange *exchange, const struct vigie_outcome *outcome);

struct exchange {
	const struct net *calls;
	void *net;
	struct upstream_set *set; /* a reference */
	struct question question;
	exchange_done *done;
	bool tcp;         /* UDP is not to be used */
	bool over;        /* the end was said */
	bool doubted;     /* a reply with a wrong id came: TCP was started beside */
	bool case_missed; /* a reply in other letters came: TCP was started to see who is right */
	bool caseless;    /* 0x20 is not used */
	bool second_try;  /* another upstream was asked because of the first one's rcode */
	uint64_t start_us;
	uint64_t sent_us; /* the last attempt */
	uint64_t next_us; /* when the next may be sent */
	uint64_t wake_us;
	unsigned turn;                       /* the policy's place in the list */
	unsigned asked[VIGIE_UPSTREAMS_MAX]; /* attempts by upstream */
	size_t count;                        /* of attempts */
	uint8_t *kept;                       /* owned: a reply that is better than none */
	size_t kept_length;
	struct upstream *kept_from;
	uint16_t info; /* RFC 8914 */
	char trouble[TROUBLE_MAX];
	struct attempt attempts[VIGIE_ATTEMPTS_MAX]; /* last: what is not there yet need not be zeroed */
};

/* Starts; `exchange` is zeroed but for the attempts. Takes the reference to `set`, whose upstreams are not
 * all given up. */
void exchange_start(struct exchange *exchange, const struct net *calls, void *net, struct upstream_set *set,
		    const struct question *question, bool tcp, exchange_done *done);

/* Ends it without `done`, when it has not ended yet, and gives back what it holds. */
void exchange_fini(struct exchange *exchange);

/* A message came that may be the reply to an attempt: a datagram from where it was sent, or a message with
 * its id on a connection. False: it is not, and the wait goes on. After true the attempt must not be touched.
 */
bool exchange_message(struct attempt *attempt, const uint8_t *message, size_t length);

/* An attempt failed. After a refusal by ICMP (UDP) its handle stays: a forger can send that, too. */
void exchange_failed(struct attempt *attempt, int error, const char *why);

/* The time that `wake` named has come. */
void exchange_due(struct exchange *exchange);

#endif

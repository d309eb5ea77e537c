#include "exchange.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "vigie/answer.h"
#include "vigie/clock.h"
#include "vigie/log.h"
#include "vigie/random.h"

enum {
	SHAKE_FACTOR = 3,      /* round trips until a reply by a new connection */
	SHAKE_MIN_US = 500000, /* its timeout at least: the kernel sends a lost SYN again after 1 s only */
	UDP_ROUNDS = 2,        /* by UDP to each of several upstreams, then TCP tries */
};

static void set_trouble(struct exchange *exchange, const struct upstream *upstream, uint16_t info,
			const char *what)
{
	exchange->info = info;
	snprintf(exchange->trouble, sizeof(exchange->trouble), "%s: %.*s", upstream->target.text,
		 REASON_MAX - 1, what);
}

static void drop(struct attempt *attempt)
{
	struct exchange *exchange = attempt->exchange;

	if (attempt->handle)
		exchange->calls->drop(exchange->net, attempt);
	attempt->handle = NULL;
}

/* Nobody waits for this attempt any longer. Where each question is taken over by a faster upstream before
 * its time-out has passed, this is all that tells of one that is gone. */
static void leave(struct attempt *attempt)
{
	struct vigie_upstreams *group = attempt->exchange->set->group;

	if (attempt->handle && !attempt->lost && !attempt->hopeless &&
	    health_overtaken(&attempt->upstream->health, vigie_clock_us(), attempt->sent_us,
			     group->options.losses))
		upstreams_say_suspected(group, attempt->upstream);
	drop(attempt);
}

static void end(struct exchange *exchange, const struct vigie_outcome *outcome)
{
	if (exchange->over)
		return;
	exchange->over = true;
	for (size_t i = 0; i < exchange->count; i++)
		leave(&exchange->attempts[i]);
	exchange->done(exchange, outcome);
}

/* Nothing better will come: the reply that was kept, or none. */
static void conclude(struct exchange *exchange)
{
	struct vigie_outcome outcome = {
		.status = exchange->kept ? VIGIE_OK : VIGIE_ETIMEOUT,
		.reply = exchange->kept,
		.length = exchange->kept_length,
		.info = exchange->info,
		.upstream = exchange->kept ? exchange->kept_from->target.text : NULL,
		.trouble = exchange->trouble[0] ? exchange->trouble : NULL,
	};

	end(exchange, &outcome);
}

static void keep(struct exchange *exchange, struct upstream *from, const uint8_t *reply, size_t length)
{
	free(exchange->kept);
	exchange->kept = malloc(length);
	if (!exchange->kept)
		return;
	memcpy(exchange->kept, reply, length);
	exchange->kept_length = length;
	exchange->kept_from = from;
}

/* Some letters of a name become capitals by chance: who forges a reply has to guess them, too
 * (draft-vixie-dnsext-dns0x20). */
static void mix_case(uint8_t *name, size_t length)
{
	uint8_t coins[(VIGIE_NAME_MAX + 7) / 8];

	vigie_random_bytes(coins, sizeof(coins));
	for (size_t i = 0; i < length; i++) {
		if ((uint8_t)(name[i] - 'a') < 26 && (coins[i / 8] >> i % 8 & 1))
			name[i] = (uint8_t)(name[i] - 0x20);
	}
}

/* AD asks for the AD bit of the reply (RFC 6840 section 5.7); a client that did not ask for it does not get
 * it. */
static void write_question(struct attempt *attempt, bool mixed)
{
	const struct question *question = &attempt->exchange->question;
	uint16_t flags = (uint16_t)(VIGIE_FLAG_AD | (question->rd ? VIGIE_FLAG_RD : 0) |
				    (question->cd ? VIGIE_FLAG_CD : 0));
	uint16_t id;

	vigie_random_bytes(&id, sizeof(id));
	attempt->asked_length =
		vigie_query_write(attempt->asked, sizeof(attempt->asked), id, flags, question->name.bytes,
				  question->type, VIGIE_CLASS_IN, attempt->edns, question->edns_do);
	if (attempt->edns) {
		vigie_query_write_size(attempt->asked, attempt->asked_length,
				       attempt->exchange->set->group->options.udp_size);
		attempt->asked_length = vigie_query_write_options(attempt->asked, sizeof(attempt->asked),
								  attempt->asked_length, question->options,
								  question->options_length);
	}
	if (mixed)
		mix_case(attempt->asked + VIGIE_HEADER_SIZE, question->name.length);
}

static bool allowed(const struct exchange *exchange, size_t index, enum vigie_protocol protocol)
{
	unsigned sent = 0;

	if (exchange->count >= exchange->set->group->options.attempts)
		return false;
	for (size_t i = 0; i < exchange->count; i++)
		sent += exchange->attempts[i].index == index && exchange->attempts[i].protocol == protocol;
	return sent < VIGIE_ATTEMPTS_UPSTREAM;
}

/* The protocol of the next query to an upstream. */
static enum vigie_protocol protocol_for(const struct exchange *exchange, size_t index)
{
	const struct upstream *upstream = exchange->set->list[index];
	unsigned rounds = exchange->set->count > 1 ? UDP_ROUNDS : VIGIE_ATTEMPTS_UPSTREAM;

	if (upstream->target.protocol != VIGIE_PROTOCOL_UDP)
		return upstream->target.protocol;
	if (exchange->tcp || upstream->health.tcp_us > vigie_clock_us() || exchange->asked[index] >= rounds)
		return VIGIE_PROTOCOL_TCP;
	return VIGIE_PROTOCOL_UDP;
}

/* A fault of this machine says nothing about an upstream. */
static bool is_local(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS ||
	       error == -EADDRINUSE || error == -EADDRNOTAVAIL || error == -EAGAIN || error == -EINPROGRESS;
}

static void count_loss(struct attempt *attempt, uint64_t sent_us)
{
	struct exchange *exchange = attempt->exchange;
	bool last = !upstream_set_up(exchange->set, attempt->index);

	attempt->lost = true;
	/* Perhaps it is the question that has no answer, not the upstream: a probe decides. */
	if (health_lost(&attempt->upstream->health, vigie_clock_us(), sent_us,
			exchange->set->group->options.losses, last))
		upstreams_say_suspected(exchange->set->group, attempt->upstream);
}

/* How long to wait for a reply, doubled with each query that had none. */
static uint64_t timeout_of(const struct attempt *attempt)
{
	uint64_t timeout = attempt->upstream->health.timeout_us;

	if (attempt->shook) {
		timeout *= SHAKE_FACTOR;
		if (timeout < SHAKE_MIN_US)
			timeout = SHAKE_MIN_US;
	}
	timeout <<= attempt->exchange->asked[attempt->index] - 1;
	return timeout < HEALTH_TIMEOUT_MAX_US ? timeout : HEALTH_TIMEOUT_MAX_US;
}

/* When to hedge: what the fastest of those that were not asked takes is enough patience with a slow one. */
static uint64_t patience(const struct exchange *exchange, uint64_t timeout)
{
	const struct upstream_set *set = exchange->set;

	for (size_t i = 0; i < set->count; i++) {
		const struct health *health = &set->list[i]->health;

		if (exchange->asked[i] == 0 && !health->open && health->silent_us == 0 &&
		    health->hedge_us < timeout)
			timeout = health->hedge_us;
	}
	return timeout;
}

/* Sends one more query. False: it could not be sent. */
static bool ask(struct exchange *exchange, size_t index, enum vigie_protocol protocol, bool edns)
{
	struct attempt *attempt = &exchange->attempts[exchange->count];
	uint64_t now = vigie_clock_us();
	bool again = exchange->asked[index] > 0;
	uint64_t timeout;
	int error;

	exchange->count++;
	exchange->asked[index]++;
	*attempt = (struct attempt){
		.exchange = exchange,
		.upstream = exchange->set->list[index],
		.index = index,
		.protocol = protocol,
		.edns = edns && exchange->set->list[index]->health.plain_us <= now,
		.sent_us = now,
	};
	/* On a connection the letters need no guessing; they are mixed there to see whether they come back.
	 */
	write_question(attempt, (protocol == VIGIE_PROTOCOL_UDP || exchange->case_missed) &&
					!exchange->caseless && attempt->upstream->health.caseless_us <= now);
	error = exchange->calls->send(exchange->net, attempt, again);
	timeout = timeout_of(attempt);
	exchange->sent_us = now;
	exchange->next_us = now + patience(exchange, timeout);
	attempt->lost_us = now + timeout;
	if (error == 0) {
		atomic_fetch_add_explicit(&attempt->upstream->counters.sent[protocol], 1,
					  memory_order_relaxed);
		if (protocol != VIGIE_PROTOCOL_UDP && !attempt->shook)
			atomic_fetch_add_explicit(&attempt->upstream->counters.reused[protocol], 1,
						  memory_order_relaxed);
		return true;
	}
	attempt->hopeless = true;
	if (error != -EINPROGRESS) /* it waits for the reply already */
		set_trouble(exchange, attempt->upstream, VIGIE_EDE_NETWORK_ERROR, uv_strerror(error));
	if (!is_local(error))
		count_loss(attempt, now);
	return false;
}

/* Sends to the best upstream that may be asked; when there is none, no other time is better. */
static void ask_next(struct exchange *exchange)
{
	size_t index = upstream_set_choose(exchange->set, exchange->asked, exchange->turn);
	enum vigie_protocol protocol;

	exchange->next_us = UINT64_MAX;
	if (index == exchange->set->count)
		return;
	protocol = protocol_for(exchange, index);
	if (!allowed(exchange, index, protocol) ||
	    (exchange->count > 0 && !upstreams_spend(exchange->set->group)))
		return;
	/* What could not be sent is no reason to wait, unless all were tried. */
	if (!ask(exchange, index, protocol, true) && exchange->count < exchange->set->count)
		exchange->next_us = exchange->sent_us;
}

/* Whether the pace of timeouts may lead to another query. */
static bool may_ask(const struct exchange *exchange)
{
	return !exchange->second_try && exchange->next_us != UINT64_MAX &&
	       exchange->count < exchange->set->group->options.attempts;
}

/* Whether a reply may still come that is worth waiting for. */
static bool hopes(const struct exchange *exchange)
{
	for (size_t i = 0; i < exchange->count; i++) {
		const struct attempt *attempt = &exchange->attempts[i];

		/* While an error is at hand, a better answer is worth one timeout and no more. */
		if (attempt->handle && !attempt->hopeless && !(exchange->second_try && attempt->lost))
			return true;
	}
	return false;
}

/* When the last reply is not waited for any longer. */
static uint64_t end_time(const struct exchange *exchange)
{
	uint64_t end = exchange->start_us + VIGIE_EXCHANGE_TOTAL_MS * 1000U;
	uint64_t last = exchange->sent_us + exchange->set->group->options.read_timeout * 1000;

	return !may_ask(exchange) && last < end ? last : end;
}

static bool finished(const struct exchange *exchange, uint64_t now)
{
	return now >= end_time(exchange) || (!may_ask(exchange) && !hopes(exchange));
}

/* Sends what is due, and sees when the next thing is. The end is left to exchange_due: nobody's callback runs
 * from within a call. */
static void advance(struct exchange *exchange)
{
	uint64_t patience_us = exchange->set->group->options.read_timeout * 1000;
	uint64_t now = vigie_clock_us();
	uint64_t wake;

	if (may_ask(exchange) && exchange->next_us > exchange->sent_us + patience_us)
		exchange->next_us = exchange->sent_us + patience_us;
	while (may_ask(exchange) && now < end_time(exchange) && now >= exchange->next_us)
		ask_next(exchange);
	wake = finished(exchange, now) ? now : end_time(exchange);
	if (may_ask(exchange) && exchange->next_us < wake)
		wake = exchange->next_us;
	for (size_t i = 0; i < exchange->count; i++) {
		const struct attempt *attempt = &exchange->attempts[i];

		if (attempt->handle && !attempt->lost && attempt->lost_us < wake)
			wake = attempt->lost_us;
	}
	exchange->calls->wake(exchange->net, exchange, wake);
}

void exchange_start(struct exchange *exchange, const struct net *calls, void *net, struct upstream_set *set,
		    const struct question *question, bool tcp, exchange_done *done)
{
	exchange->calls = calls;
	exchange->net = net;
	exchange->set = set;
	exchange->question = *question;
	exchange->done = done;
	exchange->tcp = tcp || set->group->options.force_tcp;
	exchange->start_us = exchange->sent_us = exchange->next_us = vigie_clock_us();
	if (set->group->options.policy == VIGIE_POLICY_ROUND_ROBIN)
		exchange->turn = atomic_fetch_add(&set->group->turn, 1);
	exchange->info = VIGIE_EDE_NO_REACHABLE_AUTHORITY;
	upstreams_earn(set->group);
	advance(exchange);
}

void exchange_fini(struct exchange *exchange)
{
	for (size_t i = 0; i < exchange->count; i++)
		drop(&exchange->attempts[i]);
	exchange->over = true;
	free(exchange->kept);
	exchange->kept = NULL;
	upstream_set_release(exchange->set);
	exchange->set = NULL;
}

void exchange_due(struct exchange *exchange)
{
	uint64_t now = vigie_clock_us();

	if (exchange->over)
		return;
	for (size_t i = 0; i < exchange->count; i++) {
		struct attempt *attempt = &exchange->attempts[i];

		if (!attempt->handle || attempt->lost || attempt->lost_us > now)
			continue;
		if (!attempt->hopeless)
			set_trouble(exchange, attempt->upstream, VIGIE_EDE_NO_REACHABLE_AUTHORITY,
				    "i/o timeout");
		count_loss(attempt, attempt->sent_us);
	}
	if (finished(exchange, now))
		conclude(exchange);
	else
		advance(exchange);
}

/* Asks the same upstream by TCP, beside what is under way. */
static void ask_by_tcp(struct attempt *attempt)
{
	if (allowed(attempt->exchange, attempt->index, VIGIE_PROTOCOL_TCP))
		ask(attempt->exchange, attempt->index, VIGIE_PROTOCOL_TCP, attempt->edns);
}

/* The upstream's letters are not those that it was sent, by a way that nobody else can write to. */
static bool take_letters(struct attempt *attempt, const uint8_t *message, size_t length)
{
	memcpy(attempt->asked + VIGIE_HEADER_SIZE, message + VIGIE_HEADER_SIZE,
	       attempt->exchange->question.name.length);
	if (vigie_reply_judge(attempt->asked, message, length))
		return false;
	health_set_caseless(&attempt->upstream->health, vigie_clock_us());
	return true;
}

/* A datagram that is not the reply. The wait goes on; where somebody may be guessing, or the upstream changes
 * letters, TCP finds out. */
static void pass_over(struct attempt *attempt, enum vigie_reply_fault fault)
{
	struct exchange *exchange = attempt->exchange;

	if (attempt->protocol != VIGIE_PROTOCOL_UDP)
		return;
	if (fault == VIGIE_REPLY_ID && !exchange->doubted) {
		exchange->doubted = true;
		ask_by_tcp(attempt);
	} else if (fault == VIGIE_REPLY_CASE && !exchange->case_missed) {
		exchange->case_missed = true;
		ask_by_tcp(attempt);
	} else if (fault == VIGIE_REPLY_BARE && attempt->edns && !attempt->hopeless &&
		   allowed(exchange, attempt->index, VIGIE_PROTOCOL_UDP)) {
		attempt->hopeless = true;
		ask(exchange, attempt->index, VIGIE_PROTOCOL_UDP, false);
	} else {
		return;
	}
	advance(exchange);
}

/* What a good reply tells of its upstream. */
static void learn(struct attempt *attempt, const uint8_t *reply)
{
	struct health *health = &attempt->upstream->health;
	uint64_t now = vigie_clock_us();
	uint64_t rtt = now > attempt->sent_us ? now - attempt->sent_us : 1;

	if (health_replied(health, now, attempt->shook ? 0 : rtt))
		vigie_log(VIGIE_LOG_INFO, "forward", "upstream %s answers again",
			  attempt->upstream->target.text);
	if (attempt->protocol == VIGIE_PROTOCOL_UDP)
		health_truncated(health, now, (vigie_reply_flags(reply) & VIGIE_FLAG_TC) != 0);
	if (attempt->exchange->caseless && attempt->protocol == VIGIE_PROTOCOL_UDP)
		health_set_caseless(health, now);
}

/* An upstream that does not know EDNS says so without an OPT record (RFC 6891 section 7). */
static bool dislikes_edns(const struct attempt *attempt, const struct vigie_reply_edns *edns)
{
	return attempt->edns && !edns->edns &&
	       (edns->rcode == VIGIE_RCODE_FORMERR || edns->rcode == VIGIE_RCODE_NOTIMP);
}

/* Another upstream may know better than this error. By default one other is asked; `failover` says of which
 * rcodes all are. The number of that upstream, or the count. */
static size_t better_upstream(const struct exchange *exchange, uint16_t rcode)
{
	bool failover = rcode < 32 && (exchange->set->group->options.failover >> rcode & 1);
	bool error =
		rcode == VIGIE_RCODE_SERVFAIL || rcode == VIGIE_RCODE_REFUSED || rcode == VIGIE_RCODE_NOTIMP;
	size_t index;

	if (!failover && (!error || exchange->second_try))
		return exchange->set->count;
	index = upstream_set_choose(exchange->set, exchange->asked, exchange->turn);
	if (index < exchange->set->count && exchange->asked[index] == 0 &&
	    allowed(exchange, index, protocol_for(exchange, index)))
		return index;
	return exchange->set->count;
}

/* Whether there is a way to something better than this good reply, which is kept meanwhile. */
static bool ask_for_better(struct attempt *attempt, const struct vigie_reply_edns *edns, const uint8_t *reply,
			   size_t length)
{
	struct exchange *exchange = attempt->exchange;
	size_t index;

	if (vigie_reply_flags(reply) & VIGIE_FLAG_TC) {
		exchange->tcp = true;
		keep(exchange, attempt->upstream, reply, length);
		if (!allowed(exchange, attempt->index, VIGIE_PROTOCOL_TCP))
			return false;
		ask(exchange, attempt->index, VIGIE_PROTOCOL_TCP, attempt->edns);
		return true;
	}
	if (dislikes_edns(attempt, edns) && allowed(exchange, attempt->index, attempt->protocol)) {
		keep(exchange, attempt->upstream, reply, length);
		return ask(exchange, attempt->index, attempt->protocol, false);
	}
	index = better_upstream(exchange, edns->rcode);
	if (index == exchange->set->count)
		return false;
	keep(exchange, attempt->upstream, reply, length);
	exchange->second_try = true;
	return ask(exchange, index, protocol_for(exchange, index), true);
}

/* Why the reply is an error: the upstream's own words, or its name at least. */
static void explain(struct exchange *exchange, const struct attempt *attempt,
		    const struct vigie_reply_edns *edns)
{
	char text[REASON_MAX];

	if (edns->explained) {
		snprintf(text, sizeof(text), "rcode %u%s%.*s", edns->rcode, edns->text_length > 0 ? ", " : "",
			 (int)edns->text_length, (const char *)edns->text);
		set_trouble(exchange, attempt->upstream, edns->info, text);
	} else if (edns->rcode != VIGIE_RCODE_NOERROR && edns->rcode != VIGIE_RCODE_NXDOMAIN) {
		snprintf(text, sizeof(text), "answered with rcode %u", edns->rcode);
		set_trouble(exchange, attempt->upstream, VIGIE_EDE_OTHER, text);
	} else {
		exchange->trouble[0] = 0;
	}
}

bool exchange_message(struct attempt *attempt, const uint8_t *message, size_t length)
{
	struct exchange *exchange = attempt->exchange;
	enum vigie_reply_fault fault = vigie_reply_judge(attempt->asked, message, length);
	bool udp = attempt->protocol == VIGIE_PROTOCOL_UDP;
	struct vigie_reply_edns edns;
	struct vigie_outcome outcome;

	if (fault == VIGIE_REPLY_CASE && !udp && take_letters(attempt, message, length))
		fault = VIGIE_REPLY_GOOD;
	/* What TCP cuts, too, is no reply. */
	if (fault == VIGIE_REPLY_GOOD && !udp && (vigie_reply_flags(message) & VIGIE_FLAG_TC))
		fault = VIGIE_REPLY_RECORDS;
	if (fault) {
		atomic_fetch_add_explicit(&attempt->upstream->counters.bad[fault], 1, memory_order_relaxed);
		pass_over(attempt, fault);
		return false;
	}
	learn(attempt, message);
	drop(attempt);
	vigie_reply_edns(&edns, message, length);
	upstream_count_reply(attempt->upstream, edns.rcode, vigie_clock_us() - attempt->sent_us);
	explain(exchange, attempt, &edns);
	if (ask_for_better(attempt, &edns, message, length)) {
		advance(exchange);
		return true;
	}
	if (!attempt->edns && edns.rcode != VIGIE_RCODE_FORMERR && exchange->asked[attempt->index] > 1)
		health_set_plain(&attempt->upstream->health, vigie_clock_us());
	outcome = (struct vigie_outcome){
		.status = VIGIE_OK,
		.reply = message,
		.length = length,
		.info = exchange->info,
		.upstream = attempt->upstream->target.text,
		.trouble = exchange->trouble[0] ? exchange->trouble : NULL,
	};
	end(exchange, &outcome);
	return true;
}

void exchange_failed(struct attempt *attempt, int error, const char *why)
{
	struct exchange *exchange = attempt->exchange;
	bool udp = attempt->protocol == VIGIE_PROTOCOL_UDP;

	if (attempt->hopeless)
		return;
	attempt->hopeless = true;
	set_trouble(exchange, attempt->upstream, VIGIE_EDE_NETWORK_ERROR, why);
	if (!udp)
		drop(attempt);
	/* Servers close connections that were open when they like. */
	if (!is_local(error) && (udp || attempt->shook))
		count_loss(attempt, attempt->sent_us);
	if (!udp && !attempt->shook && allowed(exchange, attempt->index, attempt->protocol)) {
		/* A new connection is made. */
		ask(exchange, attempt->index, attempt->protocol, attempt->edns);
	} else if (exchange->case_missed && !exchange->caseless && !udp &&
		   allowed(exchange, attempt->index, VIGIE_PROTOCOL_UDP)) {
		/* TCP cannot tell who changed the letters: go without. */
		exchange->caseless = true;
		ask(exchange, attempt->index, VIGIE_PROTOCOL_UDP, attempt->edns);
	} else if (exchange->count < exchange->set->count || (exchange->kept && !udp && !hopes(exchange))) {
		/* Another one is asked at once. So is the same one while a truncated reply is all there is:
		 * when TCP has failed as often as it may, the client gets that soon enough to ask for itself.
		 */
		exchange->next_us = vigie_clock_us();
	}
	advance(exchange);
}

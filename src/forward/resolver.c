/* The addresses of an upstream that is named by a host name. */
#include <stdlib.h>
#include <string.h>

#include "upstream.h"
#include "vigie/answer.h"
#include "vigie/log.h"
#include "vigie/record.h"

enum {
	AGAIN_MIN_MS = 5000, /* a look-up is made again when the answer's TTL is over, within these bounds */
	AGAIN_MAX_MS = 30000,
	FAILED_MS = 1000, /* or after this, when it failed */
	FAMILIES = 2
};

/* The addresses of one family. */
struct addresses {
	struct vigie_resolved list[VIGIE_UPSTREAMS_MAX];
	size_t count;
};

/* A look-up of one type. */
struct lookup {
	struct vigie_resolver *resolver;
	uint16_t type;
	bool good; /* the last one had an answer, be it empty */
	struct addresses known;
};

struct vigie_resolver {
	struct vigie_exchanger *exchanger;
	struct vigie_upstreams *servers; /* a reference */
	struct vigie_name host;
	vigie_resolver_changed *changed;
	void *argument;
	uv_timer_t timer;
	unsigned waiting; /* look-ups under way */
	bool differs;     /* one of them found other addresses */
	bool complained;  /* that there is none; said once */
	uint32_t ttl_ms;  /* the least that this round's answers had */
	struct lookup lookups[FAMILIES];
};

static void on_time(uv_timer_t *timer);

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct vigie_resolved));
}

/* All addresses of an answer, at the end of whichever chain they stand. Sorted: servers rotate answers, and
 * that is no change. */
static void read_addresses(struct lookup *lookup, struct addresses *found, const uint8_t *reply,
			   size_t length)
{
	size_t size = lookup->type == VIGIE_TYPE_A ? 4 : 16;
	struct vigie_record_walk walk;
	struct vigie_record record;

	memset(found, 0, sizeof(*found));
	vigie_record_walk_message(&walk, reply, length);
	while (vigie_record_next(&walk, &record) && record.section == VIGIE_ANSWER) {
		if (record.ttl < lookup->resolver->ttl_ms / 1000)
			lookup->resolver->ttl_ms = record.ttl * 1000;
		if (record.type != lookup->type || record.rdlength != size ||
		    found->count == VIGIE_UPSTREAMS_MAX)
			continue;
		found->list[found->count].size = size;
		memcpy(found->list[found->count++].bytes, reply + record.rdata, size);
	}
	qsort(found->list, found->count, sizeof(*found->list), compare);
}

/* Says what is known now. */
static void say(struct vigie_resolver *resolver)
{
	struct vigie_resolved all[VIGIE_UPSTREAMS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < FAMILIES; i++) {
		const struct addresses *known = &resolver->lookups[i].known;

		for (size_t k = 0; k < known->count && count < VIGIE_UPSTREAMS_MAX; k++)
			all[count++] = known->list[k];
	}
	resolver->changed(resolver->argument, all, count);
}

/* All look-ups of a round are over. */
static void conclude(struct vigie_resolver *resolver)
{
	char name[VIGIE_NAME_TEXT_MAX];
	bool found = resolver->lookups[0].known.count + resolver->lookups[1].known.count > 0;
	bool good = resolver->lookups[0].good && resolver->lookups[1].good;
	uint64_t again = resolver->ttl_ms;

	if (resolver->differs)
		say(resolver);
	if (!found && !resolver->complained) {
		vigie_name_to_text(resolver->host.bytes, name);
		vigie_log(VIGIE_LOG_WARNING, "forward",
			  "the upstream %s is not known: %s; it is looked up again and again", name,
			  good ? "its name has no address" : "its name could not be looked up");
	}
	resolver->complained = !found;
	if (again < AGAIN_MIN_MS)
		again = AGAIN_MIN_MS;
	uv_timer_start(&resolver->timer, on_time, found && good ? again : FAILED_MS, 0);
}

static void on_done(void *argument, const struct vigie_outcome *outcome)
{
	struct lookup *lookup = argument;
	struct vigie_resolver *resolver = lookup->resolver;
	struct vigie_reply_edns edns;
	struct addresses found;

	if (uv_is_closing((uv_handle_t *)&resolver->timer))
		return;
	if (!outcome->status) {
		vigie_reply_edns(&edns, outcome->reply, outcome->length);
		lookup->good = edns.rcode == VIGIE_RCODE_NOERROR || edns.rcode == VIGIE_RCODE_NXDOMAIN;
	}
	if (lookup->good) {
		read_addresses(lookup, &found, outcome->reply, outcome->length);
		/* A name that is gone for a moment is no reason to forget its servers. */
		if (memcmp(&found, &lookup->known, sizeof(found)) != 0 &&
		    found.count + resolver->lookups[lookup == resolver->lookups].known.count > 0) {
			lookup->known = found;
			resolver->differs = true;
		}
	}
	if (--resolver->waiting == 0)
		conclude(resolver);
}

static void on_time(uv_timer_t *timer)
{
	static const struct vigie_asker nobody = {.patient = true};
	struct vigie_resolver *resolver = timer->data;

	resolver->differs = false;
	resolver->ttl_ms = AGAIN_MAX_MS;
	resolver->waiting = 1; /* this loop */
	for (size_t i = 0; i < FAMILIES; i++) {
		struct lookup *lookup = &resolver->lookups[i];
		struct vigie_query query = {.name = resolver->host,
					    .type = lookup->type,
					    .class = VIGIE_CLASS_IN,
					    .flags = VIGIE_FLAG_RD};
		struct vigie_outcome outcome;

		lookup->good = false;
		resolver->waiting += vigie_exchange_start(resolver->exchanger, resolver->servers, &query,
							  &nobody, on_done, lookup, &outcome) == VIGIE_OK;
	}
	if (--resolver->waiting == 0)
		conclude(resolver);
}

struct vigie_resolver *vigie_resolver_new(uv_loop_t *loop, struct vigie_upstreams *servers, const char *host,
					  vigie_resolver_changed *changed, void *argument)
{
	static const uint16_t types[FAMILIES] = {VIGIE_TYPE_A, VIGIE_TYPE_AAAA};
	struct vigie_resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver)
		return NULL;
	if (vigie_name_from_text(&resolver->host, host))
		goto fail;
	resolver->exchanger = vigie_exchanger_new(loop, NULL);
	if (!resolver->exchanger)
		goto fail;
	for (size_t i = 0; i < FAMILIES; i++)
		resolver->lookups[i] = (struct lookup){.resolver = resolver, .type = types[i]};
	resolver->servers = upstreams_hold(servers);
	resolver->changed = changed;
	resolver->argument = argument;
	uv_timer_init(loop, &resolver->timer);
	resolver->timer.data = resolver;
	uv_timer_start(&resolver->timer, on_time, 0, 0);
	return resolver;

fail:
	free(resolver);
	return NULL;
}

static void on_closed(uv_handle_t *handle)
{
	struct vigie_resolver *resolver = handle->data;

	upstreams_release(resolver->servers);
	free(resolver);
}

void vigie_resolver_close(struct vigie_resolver *resolver)
{
	if (!resolver)
		return;
	uv_close((uv_handle_t *)&resolver->timer, on_closed);
	vigie_exchanger_close(resolver->exchanger);
}

#include "carrier.h"

#include "vigie/clock.h"
#include "vigie/random.h"

void carrier_init(struct carrier *carrier, struct carriers *list, const struct attempt *attempt)
{
	const struct vigie_forward_options *options = &attempt->exchange->set->group->options;

	*carrier = (struct carrier){
		.next = list->first,
		.list = list,
		.upstream = upstream_hold(attempt->upstream),
		.max_idle = options->max_idle,
		.expire_ms = options->expire,
	};
	carrier->heard_ms = carrier->asked_ms = vigie_clock_ms();
	/* Not all at once. */
	carrier->retire_ms = options->max_age == 0
				     ? UINT64_MAX
				     : carrier->heard_ms + options->max_age * 3 / 4 +
					       vigie_random_below((uint32_t)(options->max_age / 2 + 1));
	if (carrier->next)
		carrier->next->previous = carrier;
	list->first = carrier;
}

void carrier_close(struct carrier *carrier)
{
	if (carrier->next)
		carrier->next->previous = carrier->previous;
	if (carrier->previous)
		carrier->previous->next = carrier->next;
	else
		carrier->list->first = carrier->next;
	carrier->list = NULL;
}

void carrier_fini(struct carrier *carrier)
{
	upstream_release(carrier->upstream);
}

/* The earlier query of the same exchange that waits there. */
static const struct attempt *earlier_attempt(const struct carrier *carrier, const struct attempt *attempt)
{
	const struct exchange *exchange = attempt->exchange;

	for (size_t i = 0; i < exchange->count; i++) {
		const struct attempt *earlier = &exchange->attempts[i];
		const struct carried *carried = earlier->handle;

		if (carried && earlier->protocol == attempt->protocol && carried->carrier == carrier)
			return earlier;
	}
	return NULL;
}

struct carrier *carrier_pick(const struct carriers *list, const struct attempt *attempt, bool again,
			     bool *alive)
{
	*alive = false;
	for (struct carrier *carrier = list->first; carrier; carrier = carrier->next) {
		const struct attempt *earlier;

		if (carrier->upstream != attempt->upstream)
			continue;
		earlier = again ? earlier_attempt(carrier, attempt) : NULL;
		if (earlier && carrier->open && carrier->heard_ms * 1000 > earlier->sent_us) {
			*alive = true;
			return NULL;
		}
		if (earlier && carrier->open)
			carrier->retired = true; /* it may be dead: the kernel finds out late */
		if (!earlier && !carrier->retired && !carrier->full)
			return carrier;
	}
	return NULL;
}

void carrier_carry(struct carrier *carrier, struct carried *carried, struct attempt *attempt)
{
	*carried = (struct carried){.carrier = carrier, .attempt = attempt};
	if (carrier->waiting++ == 0)
		carrier->asked_ms = vigie_clock_ms();
	attempt->handle = carried;
	attempt->shook = !carrier->open;
}

void carrier_drop(struct carrier *carrier)
{
	carrier->waiting--;
}

void carrier_heard(struct carrier *carrier)
{
	carrier->heard_ms = vigie_clock_ms();
}

/* Idle connections to the same upstream. */
static unsigned idle_count(const struct carrier *carrier)
{
	unsigned idle = 0;

	for (const struct carrier *other = carrier->list->first; other; other = other->next)
		idle += other->upstream == carrier->upstream && other->waiting == 0;
	return idle;
}

enum carrier_state carrier_tick(struct carrier *carrier)
{
	uint64_t now = vigie_clock_ms();
	uint64_t since = carrier->heard_ms > carrier->asked_ms ? carrier->heard_ms : carrier->asked_ms;

	if (now >= carrier->retire_ms)
		carrier->retired = true;
	if (carrier->waiting > 0)
		return now - since >= CARRIER_SILENCE_MS ? CARRIER_SILENT : CARRIER_GOOD;
	if (carrier->retired || now - since >= carrier->expire_ms ||
	    (carrier->max_idle > 0 && idle_count(carrier) > carrier->max_idle))
		return CARRIER_DONE;
	return CARRIER_GOOD;
}

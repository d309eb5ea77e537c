#include "upstream.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "doh_sessions.h"
#include "tls.h"
#include "vigie/clock.h"
#include "vigie/random.h"

enum {
	/* Upstreams in this band of round-trip times are as good as the fastest. */
	BAND_FACTOR = 2,
	BAND_US = 20000,
	EXPLORE = 50 /* one query in so many may go to one that is out of the band, to see whether it still is
		      */
};

struct upstream *upstream_hold(struct upstream *upstream)
{
	atomic_fetch_add(&upstream->references, 1);
	return upstream;
}

void upstream_release(struct upstream *upstream)
{
	if (atomic_fetch_sub(&upstream->references, 1) != 1)
		return;
	health_fini(&upstream->health);
	SSL_SESSION_free(upstream->session);
	doh_sessions_free(upstream->doh_sessions);
	free(upstream);
}

static struct upstream *upstream_new(const struct vigie_target *target)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));

	if (!upstream)
		return NULL;
	if (target->protocol == VIGIE_PROTOCOL_HTTPS) {
		upstream->doh_sessions = doh_sessions_new();
		if (!upstream->doh_sessions) {
			free(upstream);
			return NULL;
		}
	}
	upstream->references = 1;
	upstream->target = *target;
	health_init(&upstream->health, vigie_clock_us());
	return upstream;
}

void vigie_forward_options_init(struct vigie_forward_options *options)
{
	*options = (struct vigie_forward_options){
		.expire = 10000,
		.max_age = 30000,
		.read_timeout = VIGIE_EXCHANGE_TOTAL_MS,
		.losses = 3,
		.attempts = VIGIE_ATTEMPTS_MAX,
		.udp_size = VIGIE_UDP_SIZE_EDNS,
		.probe_every = 1000,
	};
	vigie_name_from_text(&options->probe_name, ".");
}

struct vigie_upstreams *vigie_upstreams_new(const struct vigie_forward_options *options)
{
	static _Atomic uint64_t numbers;
	struct vigie_upstreams *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	group->references = 1;
	group->number = atomic_fetch_add(&numbers, 1);
	group->options = *options;
	tls_settings_hold(group->options.tls);
	group->budget = BUDGET_MAX;
	pthread_mutex_init(&group->lock, NULL);
	return group;
}

struct vigie_upstreams *upstreams_hold(struct vigie_upstreams *group)
{
	atomic_fetch_add(&group->references, 1);
	return group;
}

void upstreams_release(struct vigie_upstreams *group)
{
	if (atomic_fetch_sub(&group->references, 1) != 1)
		return;
	pthread_mutex_destroy(&group->lock);
	upstream_set_release(group->before);
	vigie_forward_tls_free(group->options.tls);
	free(group);
}

void upstream_set_release(struct upstream_set *set)
{
	if (!set || atomic_fetch_sub(&set->references, 1) != 1)
		return;
	for (size_t i = 0; i < set->count; i++)
		upstream_release(set->list[i]);
	if (set->group)
		upstreams_release(set->group);
	free(set);
}

struct upstream_set *upstream_set_get(struct vigie_upstreams *group)
{
	struct upstream_set *set;

	pthread_mutex_lock(&group->lock);
	set = group->set;
	if (set)
		atomic_fetch_add(&set->references, 1);
	pthread_mutex_unlock(&group->lock);
	return set;
}

static void publish(struct vigie_upstreams *group, struct upstream_set *set)
{
	struct upstream_set *old;

	pthread_mutex_lock(&group->lock);
	old = group->set;
	group->set = set;
	pthread_mutex_unlock(&group->lock);
	upstream_set_release(old);
}

void vigie_upstreams_free(struct vigie_upstreams *group)
{
	if (!group)
		return;
	publish(group, NULL);
	upstreams_release(group);
}

static bool same_target(const struct vigie_target *a, const struct vigie_target *b)
{
	return a->protocol == b->protocol && strcmp(a->text, b->text) == 0 &&
	       strcmp(a->server_name, b->server_name) == 0;
}

/* The member of a set that a target is; NULL when it is none. */
static struct upstream *find(const struct upstream_set *set, const struct vigie_target *target)
{
	for (size_t i = 0; set && i < set->count; i++) {
		if (same_target(&set->list[i]->target, target))
			return set->list[i];
	}
	return NULL;
}

/* Whether two groups reach a server in the same way, so that what is known of it in one holds in the other,
 * and its connections. */
static bool reach_alike(const struct vigie_target *target, const struct vigie_forward_options *a,
			const struct vigie_forward_options *b)
{
	if (memcmp(&a->source, &b->source, sizeof(a->source)) != 0)
		return false;
	if (target->protocol == VIGIE_PROTOCOL_UDP)
		return true;
	if (target->protocol == VIGIE_PROTOCOL_HTTPS && a->doh_get != b->doh_get)
		return false;
	return tls_settings_same(a->tls, b->tls) && strcmp(a->tls_servername, b->tls_servername) == 0;
}

enum vigie_status vigie_upstreams_inherit(struct vigie_upstreams *group, struct vigie_upstreams *before)
{
	struct upstream_set *old = upstream_set_get(before);
	size_t count = old ? old->count : 0;
	struct upstream_set *set = calloc(1, sizeof(*set) + count * sizeof(struct upstream *));

	if (set) {
		set->references = 1;
		for (size_t i = 0; i < count; i++) {
			if (reach_alike(&old->list[i]->target, &group->options, &before->options))
				set->list[set->count++] = upstream_hold(old->list[i]);
		}
		group->before = set;
		/* A reload is no reason to ask those that lose everything more. */
		if (set->count > 0)
			group->budget = atomic_load(&before->budget);
	}
	upstream_set_release(old);
	return set ? VIGIE_OK : VIGIE_ENOMEM;
}

/* Whether the prober has something to do from the beginning. */
static bool ails(const struct upstream *upstream)
{
	return upstream->health.open || upstream->health.suspected;
}

/* False: nobody listens. */
static bool call_suspected(struct vigie_upstreams *group)
{
	bool heard;

	pthread_mutex_lock(&group->lock);
	heard = group->suspected != NULL;
	if (heard)
		group->suspected(group->suspected_argument);
	pthread_mutex_unlock(&group->lock);
	return heard;
}

enum vigie_status vigie_upstreams_set(struct vigie_upstreams *group, const struct vigie_target *targets,
				      size_t count)
{
	struct upstream_set *set = calloc(1, sizeof(*set) + count * sizeof(struct upstream *));
	struct upstream_set *old = upstream_set_get(group);
	bool ailing = false;

	if (!set)
		goto fail;
	set->references = 1;
	set->group = upstreams_hold(group);
	for (size_t i = 0; i < count; i++) {
		struct upstream *upstream = find(old, &targets[i]);

		if (find(set, &targets[i]))
			continue; /* it is named twice */
		if (!upstream)
			upstream = find(group->before, &targets[i]);
		upstream = upstream ? upstream_hold(upstream) : upstream_new(&targets[i]);
		if (!upstream)
			goto fail;
		set->list[set->count++] = upstream;
		ailing = ailing || ails(upstream);
	}
	publish(group, set);
	if (ailing)
		call_suspected(group);
	upstream_set_release(old);
	return VIGIE_OK;

fail:
	upstream_set_release(set);
	upstream_set_release(old);
	return VIGIE_ENOMEM;
}

struct vigie_upstreams *upstreams_new_probe(const struct vigie_upstreams *group, struct upstream *upstream,
					    unsigned attempts, uint64_t wait_ms)
{
	struct vigie_upstreams *probe = vigie_upstreams_new(&group->options);
	struct upstream_set *set = calloc(1, sizeof(*set) + sizeof(struct upstream *));

	if (!probe || !set) {
		vigie_upstreams_free(probe);
		free(set);
		return NULL;
	}
	probe->options.losses = 0;
	probe->options.attempts = attempts;
	probe->options.read_timeout = wait_ms;
	set->references = 1;
	set->group = upstreams_hold(probe);
	set->probing = true;
	set->count = 1;
	set->list[0] = upstream_hold(upstream);
	publish(probe, set);
	return probe;
}

void upstreams_on_suspected(struct vigie_upstreams *group, void (*suspected)(void *argument), void *argument)
{
	pthread_mutex_lock(&group->lock);
	group->suspected = suspected;
	group->suspected_argument = argument;
	pthread_mutex_unlock(&group->lock);
}

void upstreams_say_suspected(struct vigie_upstreams *group, struct upstream *upstream)
{
	if (!call_suspected(group))
		health_forget_suspicion(&upstream->health);
}

/* Whether number i may be asked. */
static bool is_up(const struct upstream_set *set, size_t i)
{
	return set->probing || !set->list[i]->health.open;
}

bool upstream_set_up(const struct upstream_set *set, size_t but)
{
	for (size_t i = 0; i < set->count; i++) {
		if (i != but && is_up(set, i))
			return true;
	}
	return false;
}

/* Whether round trips to this one take about as long as the shortest, `best`. What was never timed is worth a
 * try. */
static bool in_band(const struct upstream *upstream, uint32_t best)
{
	return upstream->health.srtt_us <= best * BAND_FACTOR + BAND_US;
}

static size_t choose_random(const struct upstream_set *set, const size_t *from, size_t count)
{
	uint32_t best = UINT32_MAX / 4;
	size_t good = 0;
	size_t pick;

	if (vigie_random_below(EXPLORE) == 0)
		return from[vigie_random_below((uint32_t)count)];
	for (size_t i = 0; i < count; i++) {
		if (set->list[from[i]]->health.srtt_us < best)
			best = set->list[from[i]]->health.srtt_us;
	}
	for (size_t i = 0; i < count; i++)
		good += in_band(set->list[from[i]], best);
	pick = vigie_random_below((uint32_t)good);
	for (size_t i = 0; i < count; i++) {
		if (in_band(set->list[from[i]], best) && pick-- == 0)
			return from[i];
	}
	return from[0]; /* the times changed meanwhile */
}

/* Of the members that may be asked those that were asked least, in the policy's order; one that is silent
 * comes behind the others, even if they were asked once more. Or one that is to be tried. */
static size_t find_candidates(const struct upstream_set *set, const unsigned *asked, unsigned turn,
			      size_t *from)
{
	unsigned least = UINT32_MAX;
	size_t count = 0;

	for (size_t k = 0; k < set->count; k++) {
		size_t i = (k + turn) % set->count;
		enum health_voice voice = is_up(set, i) ? health_voice(&set->list[i]->health) : HEALTH_SILENT;
		unsigned place = 2 * asked[i] + (voice == HEALTH_SILENT ? 3 : 0);

		if (voice == HEALTH_TRY && asked[i] == 0) {
			from[0] = i;
			return 1;
		}
		if (!is_up(set, i) || place > least)
			continue;
		if (place < least)
			count = 0;
		least = place;
		from[count++] = i;
	}
	return count;
}

size_t upstream_set_choose(const struct upstream_set *set, const unsigned *asked, unsigned turn)
{
	size_t from[VIGIE_UPSTREAMS_MAX];
	size_t count = find_candidates(set, asked, turn, from);

	if (count == 0)
		return set->count;
	return set->group->options.policy == VIGIE_POLICY_RANDOM ? choose_random(set, from, count) : from[0];
}

void upstreams_earn(struct vigie_upstreams *group)
{
	/* Two that earn at once may go beyond the bound by one each: it is no exact number. */
	if (atomic_load_explicit(&group->budget, memory_order_relaxed) < BUDGET_MAX)
		atomic_fetch_add_explicit(&group->budget, 1, memory_order_relaxed);
}

bool upstreams_spend(struct vigie_upstreams *group)
{
	if (atomic_fetch_sub_explicit(&group->budget, 1, memory_order_relaxed) > 0)
		return true;
	atomic_fetch_add_explicit(&group->budget, 1, memory_order_relaxed);
	return false;
}

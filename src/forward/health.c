#include "health.h"

#include "vigie/clock.h"

enum {
	SHARE = 1024,         /* of `truncated` */
	TRUNCATED_MOST = 512, /* half of the replies */
	LOST_LAST_FACTOR = 2  /* losses in a row before the last upstream is given up, in times of `most` */
};

void health_init(struct health *health, uint64_t now_us)
{
	*health = (struct health){.timeout_us = HEALTH_TIMEOUT_FIRST_US,
				  .hedge_us = HEALTH_TIMEOUT_FIRST_US,
				  .good_us = now_us};
	pthread_mutex_init(&health->lock, NULL);
}

void health_fini(struct health *health)
{
	pthread_mutex_destroy(&health->lock);
}

/* The mean, and what replies deviate from it: `least` at least, `most` at most. */
static uint32_t patience(int64_t mean, int64_t variation, int64_t least, int64_t most)
{
	int64_t slack = 4 * variation < most ? 4 * variation : most;
	int64_t us = mean + (slack > least ? slack : least);

	return (uint32_t)(us < HEALTH_TIMEOUT_MAX_US ? us : HEALTH_TIMEOUT_MAX_US);
}

/* RFC 6298's estimate, in the weights of section 2. */
static void measure(struct health *health, uint64_t rtt)
{
	int64_t sample = rtt < INT32_MAX ? (int64_t)rtt : INT32_MAX;
	int64_t mean = health->srtt_us;
	int64_t variation = health->variation_us;

	if (health->timed) {
		int64_t off = sample > mean ? sample - mean : mean - sample;

		variation += (off - variation) / 4;
		mean += (sample - mean) / 8;
	} else {
		mean = sample;
		variation = sample / 2;
		health->timed = true;
	}
	health->srtt_us = (uint32_t)mean;
	health->variation_us = (uint32_t)variation;
	health->timeout_us = patience(mean, variation, HEALTH_TIMEOUT_MIN_US, INT32_MAX);
	/* What is late may still come, so asking another one counts as no loss and need not be so sure. */
	health->hedge_us = patience(mean, variation, HEALTH_HEDGE_MIN_US, mean / 2);
}

bool health_replied(struct health *health, uint64_t now_us, uint64_t rtt_us)
{
	bool closes;

	pthread_mutex_lock(&health->lock);
	closes = health->open;
	/* A path that comes back may be another one: what was measured on the old one says little. */
	if (closes)
		health->timed = false;
	if (rtt_us > 0)
		measure(health, rtt_us);
	health->lost = 0;
	health->good_us = now_us;
	health->open = health->suspected = false;
	health->silent_us = 0;
	pthread_mutex_unlock(&health->lock);
	return closes;
}

static bool count_loss(struct health *health, uint64_t now_us, uint64_t sent_us, unsigned most,
		       uint64_t silence)
{
	bool suspected = false;

	pthread_mutex_lock(&health->lock);
	/* What was sent before the last reply tells of a lost packet, not of a lost upstream. */
	if (sent_us >= health->good_us && health->lost < UINT32_MAX && health->lost++ == 0)
		health->lost_us = sent_us;
	if (most > 0 && health->lost == most)
		health->silent_us = now_us + HEALTH_TRY_US;
	if (most > 0 && !health->open && !health->suspected && health->lost >= most &&
	    now_us - health->lost_us >= silence)
		health->suspected = suspected = true;
	pthread_mutex_unlock(&health->lock);
	return suspected;
}

bool health_lost(struct health *health, uint64_t now_us, uint64_t sent_us, unsigned most, bool last)
{
	return last ? count_loss(health, now_us, sent_us, most * LOST_LAST_FACTOR, HEALTH_SILENCE_LAST_US)
		    : count_loss(health, now_us, sent_us, most, HEALTH_SILENCE_US);
}

bool health_overtaken(struct health *health, uint64_t now_us, uint64_t sent_us, unsigned most)
{
	return now_us - sent_us >= HEALTH_HEDGE_MIN_US &&
	       count_loss(health, now_us, sent_us, most, HEALTH_SILENCE_LAST_US);
}

enum health_voice health_voice(struct health *health)
{
	uint64_t until = health->silent_us;
	uint64_t now;

	if (until == 0)
		return HEALTH_HEARD;
	now = vigie_clock_us();
	if (now >= until && atomic_compare_exchange_strong(&health->silent_us, &until, now + HEALTH_TRY_US))
		return HEALTH_TRY;
	return HEALTH_SILENT;
}

bool health_probe_failed(struct health *health, uint64_t sent_us)
{
	bool opens = false;

	pthread_mutex_lock(&health->lock);
	if (health->suspected && sent_us >= health->good_us)
		health->open = opens = true;
	health->suspected = false;
	pthread_mutex_unlock(&health->lock);
	return opens;
}

void health_forget_suspicion(struct health *health)
{
	pthread_mutex_lock(&health->lock);
	health->suspected = false;
	pthread_mutex_unlock(&health->lock);
}

void health_truncated(struct health *health, uint64_t now_us, bool truncated)
{
	pthread_mutex_lock(&health->lock);
	health->truncated += (unsigned)(truncated ? SHARE / 8 : 0) - health->truncated / 8;
	if (health->truncated > TRUNCATED_MOST)
		health->tcp_us = now_us + HEALTH_TCP_US;
	pthread_mutex_unlock(&health->lock);
}

void health_set_caseless(struct health *health, uint64_t now_us)
{
	health->caseless_us = now_us + HEALTH_MEMORY_US;
}

void health_set_plain(struct health *health, uint64_t now_us)
{
	health->plain_us = now_us + HEALTH_MEMORY_US;
}

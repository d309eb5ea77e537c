/* What a reload leaves of upstreams: those that the `forward` for the same names in the same block had
 * before, and that are reached in the same way, keep their round trips, what they cannot do, whether they are
 * given up, and their connections, whatever else changed. */
#include <stdio.h>

#include "forward.h"
#include "vigie/keep.h"

enum { KEY_MAX = 4096 /* a place with a longer one is not found again */ };

static void release(void *upstreams)
{
	vigie_upstreams_free(upstreams);
}

/* False: there is none. */
static bool make_key(const struct vigie_block *block, const struct rule *rule, char *key)
{
	size_t length = vigie_block_place(block, key, KEY_MAX);

	if (length == 0)
		return false;
	length += (size_t)snprintf(key + length, KEY_MAX - length, " %s %u", rule->from_text,
				   rule->from_earlier);
	return length < KEY_MAX;
}

enum vigie_status forward_keep(const struct vigie_block *block, struct rule *rule)
{
	struct vigie_keep *keep = block->process->keep;
	struct vigie_upstreams *before;
	enum vigie_status status = VIGIE_OK;
	char key[KEY_MAX];

	if (!make_key(block, rule, key))
		return forward_sources_set(&rule->sources, rule->upstreams);
	before = vigie_keep_get(keep, "forward", key);
	if (before) {
		status = vigie_upstreams_inherit(rule->upstreams, before);
		vigie_keep_release(keep, before);
	}
	if (!status)
		status = forward_sources_set(&rule->sources, rule->upstreams);
	if (!status)
		status = vigie_keep_put(keep, "forward", key, rule->upstreams, release);
	rule->kept = !status;
	return status;
}

void forward_keep_release(const struct vigie_block *block, struct rule *rule)
{
	if (rule->kept)
		vigie_keep_release(block->process->keep, rule->upstreams);
	else
		vigie_upstreams_free(rule->upstreams);
}

/* Where the upstreams of a `forward` come from. */
#ifndef VIGIE_DIRECTIVES_FORWARD_SOURCES_H
#define VIGIE_DIRECTIVES_FORWARD_SOURCES_H

#include "vigie/arena.h"
#include "vigie/corefile.h"
#include "vigie/forward.h"

enum forward_source_kind { FORWARD_ADDRESS, FORWARD_FILE, FORWARD_HOST };

/* What one TO stands for. */
struct forward_source {
	enum forward_source_kind kind;
	const struct vigie_word *word; /* borrowed */
	struct forward_sources *sources;
	struct vigie_target target; /* ADDRESS; of a HOST all but the address */
	char host[VIGIE_HOST_MAX];
	struct vigie_target *found; /* FILE, HOST: VIGIE_UPSTREAMS_MAX places */
	size_t found_count;
	struct vigie_resolver *resolver; /* HOST, from start to stop */
	uv_fs_poll_t *poll;              /* FILE, from start to stop */
};

/* All TO of a `forward`, zeroed at first. The main thread's alone. */
struct forward_sources {
	struct forward_source *list; /* one for each TO */
	size_t count;
	struct vigie_target resolvers[VIGIE_UPSTREAMS_MAX]; /* who is asked for the addresses of host names */
	size_t resolver_count;
	bool system_resolvers; /* they are /etc/resolv.conf's */
	/* From start to stop: */
	struct vigie_upstreams *group; /* borrowed: whose members they make */
	struct vigie_upstreams *resolver_group;
	uv_fs_poll_t *resolvers_poll;
	uint64_t start_ms;
};

/* Reads what the words TO stand for, files with it. `error` names the word at fault. `resolvers` have been
 * set before, if the configuration names any. */
enum vigie_status forward_sources_read(struct forward_sources *sources, const struct vigie_word *to,
				       size_t to_count, struct vigie_arena *arena, struct vigie_error *error);

/* Makes what is known of the sources the members of a group. */
enum vigie_status forward_sources_set(const struct forward_sources *sources, struct vigie_upstreams *group);

/* Follows files and host names from now on, and keeps the members of `group` up to date. VIGIE_ENOMEM. */
enum vigie_status forward_sources_start(struct forward_sources *sources, struct vigie_upstreams *group,
					uv_loop_t *loop);
void forward_sources_stop(struct forward_sources *sources);

/* Whether each host name has an address, or was waited for long enough. */
bool forward_sources_ready(const struct forward_sources *sources);

#endif

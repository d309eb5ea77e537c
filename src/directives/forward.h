/* What the two files of `forward` share: its options and how they are read. */
#ifndef VIGIE_DIRECTIVES_FORWARD_H
#define VIGIE_DIRECTIVES_FORWARD_H

#include <stdatomic.h>

#include "forward_sources.h"
#include "vigie/directive.h"
#include "vigie/forward.h"

/* One statement: a zone and who answers for it. */
struct rule {
	struct rule *after;      /* of the same block; its FROM has as many labels, or less */
	struct vigie_name *from; /* a CIDR gives several */
	size_t from_count;
	struct vigie_name *except;
	size_t except_count;
	struct vigie_forward_options options;
	bool prefer_udp;
	uint32_t next;           /* bit R: the next rule is asked after a reply of rcode R */
	bool next_on_nodata;     /* and after one without an answer */
	uint64_t max_concurrent; /* 0: no bound */
	atomic_uint_fast64_t concurrent;
	_Atomic uint64_t rejected; /* because of max_concurrent */
	_Atomic uint64_t scrubbed; /* replies of which records were left out */
	struct forward_sources sources;
	struct vigie_upstreams *upstreams; /* owned; kept for the next configuration from start on */
	bool kept;
	const char *from_text; /* FROM as it stands */
	unsigned from_earlier; /* statements of the block with the same FROM before this one */
	struct vigie_prober *prober;
};

/* Reads one statement of `forward`. */
enum vigie_status forward_rule_read(struct rule *rule, struct vigie_block *block,
				    const struct vigie_statement *statement, struct vigie_error *error);

/* Makes what is known of a rule's sources its upstreams. Those that the configuration before had in the same
 * place stay what they are; the next configuration finds these. VIGIE_ENOMEM. */
enum vigie_status forward_keep(const struct vigie_block *block, struct rule *rule);
void forward_keep_release(const struct vigie_block *block, struct rule *rule);

struct vigie_metrics;

/* Adds what is counted of a rule's upstreams. */
void forward_rule_metrics(const struct rule *rule, struct vigie_metrics *metrics);

#endif

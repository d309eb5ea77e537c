/* What `prometheus` counts of the requests of one block: per worker, listener and zone, so that nothing is
 * shared by threads and nothing is looked up by text. */
#ifndef VIGIE_DIRECTIVES_REQUEST_METRICS_H
#define VIGIE_DIRECTIVES_REQUEST_METRICS_H

#include "vigie/directive.h"
#include "vigie/metrics.h"

struct request_metrics;

/* For a block whose process knows its workers and listeners (`start`). It is kept (keep.h): a configuration
 * that serves the same in the same places goes on with the counters of the one before. NULL when memory is
 * out. To be released by vigie_keep_release. */
struct request_metrics *request_metrics_acquire(const struct vigie_block *block);

/* Counts an answered request, in its worker's thread. Counters of a listener and zone are allocated when the
 * first request comes; one that memory is missing for is not counted. */
void request_metrics_count(struct request_metrics *metrics, struct vigie_request *request);

/* Adds the coredns_dns_* families, in the main thread. */
void request_metrics_add(const struct request_metrics *metrics, struct vigie_metrics *scrape);

#endif

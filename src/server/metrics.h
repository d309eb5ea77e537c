/* The server's own metrics. */
#ifndef VIGIE_SERVER_METRICS_H
#define VIGIE_SERVER_METRICS_H

#include "vigie/metrics.h"
#include "worker.h"

/* Adds up what the workers counted. */
void counters_sum(struct counters *sum, struct worker *const *workers, unsigned count);

/* Adds what the workers counted and measured to a scrape. */
void server_add_metrics(struct vigie_metrics *metrics, struct worker *const *workers, unsigned count);

#endif

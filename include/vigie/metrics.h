/* One scrape of metrics in Prometheus' text exposition format 0.0.4. Whoever has metrics adds samples in any
 * order; samples of one family come out together.
 *
 *     vigie_metrics_add(metrics, "coredns_cache_hits_total", VIGIE_COUNTER, "The count of cache hits.",
 *                       "server=\"dns://:53\",type=\"success\"", (double)hits); */
#ifndef VIGIE_METRICS_H
#define VIGIE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "vigie/buffer.h"
#include "vigie/status.h"

enum vigie_metric_type {
	VIGIE_COUNTER,
	VIGIE_GAUGE,
	VIGIE_GAUGE_LEAST,    /* a gauge that is no amount: of several samples the least is told */
	VIGIE_GAUGE_GREATEST, /* the same with the greatest */
};

/* A distribution that one thread counts and another reads. Bounds are upper ones, ascending, in the metric's
 * unit (seconds, bytes); static storage. `counts` has one more: what is above the last. */
struct vigie_histogram {
	const double *bounds;
	size_t bound_count;
	const uint64_t *counts; /* of each bucket alone, not cumulative */
	double sum;
};

struct vigie_metrics;

/* NULL when memory is out. */
struct vigie_metrics *vigie_metrics_new(void);
void vigie_metrics_free(struct vigie_metrics *metrics);

/* Adds a sample of a family. `name` and `help` are static; `labels` is the text between the braces, or ""
 * (see vigie_metrics_label). Two samples of one family with the same labels are summed, so that several
 * instances may report alike, unless the type says otherwise. Memory that is out makes the scrape fail at the
 * end. */
void vigie_metrics_add(struct vigie_metrics *metrics, const char *name, enum vigie_metric_type type,
		       const char *help, const char *labels, double value);
void vigie_metrics_add_histogram(struct vigie_metrics *metrics, const char *name, const char *help,
				 const char *labels, const struct vigie_histogram *histogram);

/* Appends `name="value"` to a label text of `size` bytes, with a comma where one is needed, the value
 * escaped. A label that does not fit is left out. Names from the network must not become label values: only
 * what the configuration names may. */
void vigie_metrics_label(char *labels, size_t size, const char *name, const char *value);

/* Writes the page. */
enum vigie_status vigie_metrics_write(struct vigie_metrics *metrics, struct vigie_buffer *page);

#endif

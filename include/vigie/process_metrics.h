/* What Prometheus' client libraries tell of every process: process_* and the build. */
#ifndef VIGIE_PROCESS_METRICS_H
#define VIGIE_PROCESS_METRICS_H

#include "vigie/metrics.h"

/* Adds process_cpu_seconds_total, process_open_fds, process_max_fds, process_resident_memory_bytes,
 * process_virtual_memory_bytes, process_start_time_seconds, process_threads, coredns_build_info and
 * coredns_panics_total. What /proc does not say is left out. */
void vigie_process_metrics_add(struct vigie_metrics *metrics);

#endif

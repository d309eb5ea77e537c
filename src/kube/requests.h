/* Counts and durations of a watcher's requests, kept by its thread. */
#ifndef VIGIE_KUBE_REQUESTS_H
#define VIGIE_KUBE_REQUESTS_H

#include "vigie/kube.h"

/* A request ended with this HTTP status; 0: it got none. */
void requests_count(struct vigie_watch_requests *requests, long status);

/* Adds a duration. */
void requests_time(struct vigie_watch_durations *durations, uint64_t ms);

#endif

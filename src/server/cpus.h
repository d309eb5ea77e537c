#ifndef VIGIE_SERVER_CPUS_H
#define VIGIE_SERVER_CPUS_H

/* How many CPUs this process may use at once: its affinity mask, cut to the cgroup's quota (rounded up). At
 * least 1. */
unsigned cpus_allowed(void);

#endif

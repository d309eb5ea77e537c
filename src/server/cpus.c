#include "cpus.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

/* CPUs that a quota of `quota` microseconds in each `period` is worth, rounded up; 0: no limit. */
static unsigned quota_cpus(long quota, long period)
{
	if (quota <= 0 || period <= 0)
		return 0;
	return (unsigned)((quota + period - 1) / period);
}

static long read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	long number = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &number) != 1)
		number = -1;
	fclose(file);
	return number;
}

static unsigned cgroup_cpus(void)
{
	FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re"); /* version 2: "QUOTA PERIOD" or "max PERIOD" */
	long quota = -1;
	long period = -1;

	if (file) {
		if (fscanf(file, "%ld %ld", &quota, &period) != 2)
			quota = -1;
		fclose(file);
		return quota_cpus(quota, period);
	}
	return quota_cpus(read_number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
			  read_number("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
}

unsigned cpus_allowed(void)
{
	unsigned quota = cgroup_cpus();
	unsigned cpus = 1;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
		cpus = (unsigned)CPU_COUNT(&set);
	return quota > 0 && quota < cpus ? quota : cpus;
}

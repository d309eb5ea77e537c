#include "vigie/process_metrics.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* What /proc/self/stat says (proc(5)). */
struct stat_line {
	unsigned long long user; /* clock ticks */
	unsigned long long system;
	unsigned long long started; /* clock ticks after the boot */
	unsigned long long virtual; /* bytes */
	long threads;
	long resident; /* pages */
};

static bool read_stat(struct stat_line *line)
{
	char text[1024];
	FILE *file = fopen("/proc/self/stat", "re");
	size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	const char *fields;

	if (file)
		fclose(file);
	text[length] = 0;
	fields = strrchr(text, ')'); /* the program's name before it may hold anything */
	return fields && sscanf(fields + 1,
				" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %ld "
				"%*d %llu %llu %ld",
				&line->user, &line->system, &line->threads, &line->started, &line->virtual,
				&line->resident) == 6;
}

/* Seconds since 1970 of the boot: stable, unlike what two clocks read now would give. */
static bool read_boot(double *seconds)
{
	FILE *file = fopen("/proc/stat", "re");
	char line[512];
	unsigned long long boot;
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file))
		found = sscanf(line, "btime %llu", &boot) == 1;
	if (file)
		fclose(file);
	if (found)
		*seconds = (double)boot;
	return found;
}

static long count_files(void)
{
	DIR *folder = opendir("/proc/self/fd");
	long count = -1; /* the folder itself */

	if (!folder)
		return -1;
	for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

static void add(struct vigie_metrics *metrics, const char *name, enum vigie_metric_type type,
		const char *help, double value)
{
	vigie_metrics_add(metrics, name, type, help, "", value);
}

void vigie_process_metrics_add(struct vigie_metrics *metrics)
{
	double ticks = (double)sysconf(_SC_CLK_TCK);
	struct stat_line line;
	struct rlimit files;
	double boot;
	long open = count_files();

	if (read_stat(&line)) {
		add(metrics, "process_cpu_seconds_total", VIGIE_COUNTER,
		    "CPU seconds that the process used, its own and the kernel's for it.",
		    (double)(line.user + line.system) / ticks);
		add(metrics, "process_resident_memory_bytes", VIGIE_GAUGE,
		    "Bytes of the process that are in memory.",
		    (double)line.resident * (double)sysconf(_SC_PAGESIZE));
		add(metrics, "process_virtual_memory_bytes", VIGIE_GAUGE,
		    "Bytes of the process' address space.", (double)line.virtual);
		add(metrics, "process_threads", VIGIE_GAUGE, "Threads of the process.", (double)line.threads);
		if (read_boot(&boot))
			add(metrics, "process_start_time_seconds", VIGIE_GAUGE,
			    "When the process began, as Unix time.", boot + (double)line.started / ticks);
	}
	if (open >= 0)
		add(metrics, "process_open_fds", VIGIE_GAUGE, "Files and sockets that are open.",
		    (double)open);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
		add(metrics, "process_max_fds", VIGIE_GAUGE, "Files and sockets that may be open.",
		    (double)files.rlim_cur);
	vigie_metrics_add(metrics, "coredns_build_info", VIGIE_GAUGE,
			  "Always 1; the label is the version of this server.",
			  "version=\"vigie-" VIGIE_VERSION "\"", 1);
	add(metrics, "coredns_panics_total", VIGIE_COUNTER,
	    "Always 0: this server has no panics to recover from.", 0);
}

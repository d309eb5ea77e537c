/* Any bytes as a warm file. */
#include <sanitizer/lsan_interface.h>
#include <urcu-qsbr.h>

#include "state_input.h"
#include "vigie/clock.h"
#include "vigie/hash.h"
#include "vigie/kube.h"
#include "vigie/log.h"
#include "vigie/records.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RUNS = 256 };

static const uint8_t owner[VIGIE_WARM_OWNER];
static struct vigie_records *records;
static struct vigie_cluster *cluster;

static int64_t now(void)
{
	return 1000;
}

/* Frees the table. Nothing of it is left then. */
static void free_table(void)
{
	vigie_cluster_free(cluster);
	vigie_records_free(records);
	cluster = NULL;
	records = NULL;
	rcu_barrier();
	require(__lsan_do_recoverable_leak_check() == 0);
}

/* The table holds addresses beside bits of hashes, in which LeakSanitizer does not see them: instead of after
 * each input, as libFuzzer would, leaks are looked for when a table has been freed. */
static void look_for_leaks_ourselves(int *argc, char ***argv)
{
	static char flag[] = "-detect_leaks=0";
	static char *more[64];

	require(*argc + 2 <= (int)(sizeof(more) / sizeof(*more)));
	memcpy(more, *argv, (size_t)*argc * sizeof(*more));
	more[(*argc)++] = flag;
	*argv = more;
	require(atexit(free_table) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	look_for_leaks_ourselves(argc, argv);
	vigie_log_set_level(VIGIE_LOG_FATAL);
	vigie_hash_init();
	vigie_clock_set(NULL, now);
	rcu_register_thread();
	return 0;
}

static void renew(void)
{
	const struct vigie_cluster_options options = {.kinds = {true, true, true, true}};

	free_table();
	records = vigie_records_new();
	require(records);
	cluster = vigie_cluster_new(records, &options);
	require(cluster);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned runs;
	struct vigie_error error = {""};
	char path[STATE_PATH_MAX];
	int file;

	/* A table is used for many inputs: waiting for its last reader takes longer than the rest. */
	if (runs++ % RUNS == 0)
		renew();
	file = state_input("vigiewrm\0\0\0\1", 4, data, size, path); /* the last record is empty */
	if (vigie_warm_read(path, owner, 3600, cluster, &error))
		require(strstr(error.text, "is not used: ") != NULL);
	require(!vigie_records_synced(records));
	close(file);
	rcu_quiescent_state();
	return 0;
}

/* Freeing a table: all of it goes, whether the freeing thread is online or not, and it is as it was
 * afterwards. A hang is ended by the alarm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "vigie/cluster.h"
#include "vigie/hash.h"
#include "vigie/records.h"

enum { ROUNDS = 20, NAMESPACES = 5000, PATIENCE_S = 120 };

static void fill_and_free(bool online)
{
	struct vigie_cluster_options options = {.kinds = {[VIGIE_KIND_NAMESPACE] = true}};
	struct vigie_records *records = vigie_records_new();
	struct vigie_cluster *cluster = records ? vigie_cluster_new(records, &options) : NULL;

	assert_non_null(cluster);
	for (unsigned i = 0; i < NAMESPACES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "namespace-%u", i);
		assert_int_equal(vigie_cluster_put_namespace(cluster, name), VIGIE_OK);
	}
	vigie_cluster_sweep(cluster, VIGIE_KIND_NAMESPACE);
	vigie_cluster_publish(cluster);
	assert_true(vigie_records_synced(records));
	if (!online)
		rcu_thread_offline();
	vigie_cluster_free(cluster);
	vigie_records_free(records);
	assert_int_equal(rcu_read_ongoing() != 0, online);
	if (!online)
		rcu_thread_online();
}

static void test_all_goes(void **state)
{
	vigie_hash_init();
	rcu_register_thread();
	alarm(PATIENCE_S);
	for (unsigned round = 0; round < ROUNDS; round++)
		fill_and_free(round % 2 == 0);
	alarm(0);
	rcu_unregister_thread();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_goes),
	};

	return cmocka_run_group_tests_name("free", tests, NULL, NULL);
}

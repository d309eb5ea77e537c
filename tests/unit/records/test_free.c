/* Freeing a table while liburcu resizes it in its own thread: it ends, whether the freeing thread is online
 * or not. A hang is ended by the alarm. */
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

enum {
	ROUNDS = 20,
	NAMESPACES = 5000, /* liburcu counts by thousands: enough to shrink while they are emptied */
	PATIENCE_S = 120
};

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

static void test_free_while_a_table_is_resized(void **state)
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
		cmocka_unit_test(test_free_while_a_table_is_resized),
	};

	return cmocka_run_group_tests_name("free", tests, NULL, NULL);
}

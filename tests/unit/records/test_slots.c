/* The table that services and their addresses are found by, against a plain list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "table.h"
#include "vigie/hash.h"
#include "vigie/random.h"

enum { ENTRIES = 3000, STEPS = 40000 };

static struct vigie_records *records;
static struct slots *table; /* published here, as a field of struct vigie_records is */
static struct entry *entries[ENTRIES];
static bool there[ENTRIES][2]; /* with the flag, and without */

/* Few hashes, so that entries stand in each other's places; some share their tag, too. */
static uint64_t hash_of(size_t i)
{
	return vigie_hash(&(size_t){i / 3}, sizeof(i));
}

static void fill(const struct vigie_records *of, const struct slots *old, struct slots *fresh)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		for (int flag = 0; flag < 2; flag++) {
			if (there[i][flag])
				slots_add(fresh, hash_of(i), entries[i], flag);
		}
	}
}

static bool finds(size_t i, int wanted)
{
	struct slots_walk walk;
	struct entry *entry;
	bool flag;
	int found = 0;

	slots_begin(&walk, &table, hash_of(i));
	while ((entry = slots_next(&walk, &flag)) != NULL)
		found += entry == entries[i] && flag == wanted;
	assert_in_range(found, 0, 1);
	return found;
}

static void check_all(void)
{
	size_t expected = 0;
	size_t met = 0;

	for (size_t i = 0; i < ENTRIES; i++) {
		for (int flag = 0; flag < 2; flag++) {
			assert_int_equal(finds(i, flag), there[i][flag]);
			expected += there[i][flag];
		}
	}
	for (uint32_t at = 0; slots_each(table, &at);)
		met++;
	assert_int_equal(met, expected);
}

static void test_model(void **state)
{
	struct slots_walk walk;
	bool flag;

	slots_begin(&walk, &table, 1);
	assert_null(slots_next(&walk, &flag)); /* no table is an empty one */
	for (size_t step = 0; step < STEPS; step++) {
		/* Grows at first, then shrinks. */
		size_t i = vigie_random_below(ENTRIES);
		int with = (int)vigie_random_below(2);
		bool add = vigie_random_below(100) < (step < STEPS / 2 ? 70 : 20);

		if (add && !there[i][with]) {
			assert_int_equal(slots_reserve(records, &table, VIGIE_BYTES_ADDRESSES, 1, fill),
					 VIGIE_OK);
			slots_add(table, hash_of(i), entries[i], with);
			there[i][with] = true;
		} else if (!add && there[i][with]) {
			slots_remove(table, hash_of(i), entries[i], with);
			there[i][with] = false;
		}
		assert_int_equal(finds(i, with), there[i][with]);
		if (step % 5000 == 0)
			check_all();
	}
	check_all();
	for (size_t i = 0; i < ENTRIES; i++) {
		for (int with = 0; with < 2; with++) {
			if (there[i][with])
				slots_remove(table, hash_of(i), entries[i], with);
			there[i][with] = false;
		}
	}
	check_all();
	/* What is too large for what it holds is built anew when something is added. */
	assert_int_equal(slots_reserve(records, &table, VIGIE_BYTES_ADDRESSES, 1, fill), VIGIE_OK);
	assert_int_equal(table->size, 64);
}

static int setup(void **state)
{
	vigie_hash_init();
	rcu_register_thread();
	records = vigie_records_new();
	for (size_t i = 0; i < ENTRIES; i++)
		entries[i] = calloc(1, sizeof(*entries[i]));
	return records ? 0 : -1;
}

static int teardown(void **state)
{
	vigie_piece_retire(records, VIGIE_BYTES_ADDRESSES, table);
	rcu_thread_offline();
	vigie_records_free(records);
	for (size_t i = 0; i < ENTRIES; i++)
		free(entries[i]);
	rcu_thread_online();
	rcu_unregister_thread();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};

	return cmocka_run_group_tests(tests, setup, teardown);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "block.h"
#include "vigie/hash.h"

enum { MANY = 1000 };

static struct vigie_key keys[MANY];
static struct block blocks[MANY];
static size_t used;

static int setup(void **state)
{
	vigie_hash_init();
	used = 0;
	*state = zone_table_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	zone_table_free(*state);
	return 0;
}

/* Adds a zone that leads to a block of its own, whose place in `blocks` is returned. */
static size_t add(struct zone_table *table, const char *zone)
{
	const struct vigie_key *first;

	assert_true(used < MANY);
	keys[used] = (struct vigie_key){.word = {.text = zone}};
	assert_int_equal(vigie_name_from_text(&keys[used].zone, zone), VIGIE_OK);
	assert_int_equal(zone_table_add(table, &keys[used], &blocks[used], &first), VIGIE_OK);
	assert_null(first);
	return used++;
}

static const struct block *get(const struct zone_table *table, const char *text)
{
	struct vigie_name name;

	assert_int_equal(vigie_name_from_text(&name, text), VIGIE_OK);
	return zone_table_get(table, &name);
}

static void test_empty(void **state)
{
	assert_null(get(*state, "."));
	assert_null(get(*state, "a.example.org."));
	zone_table_free(NULL);
}

static void test_longest_match(void **state)
{
	size_t org = add(*state, "org.");
	size_t deep = add(*state, "a.b.c.Example.org.");
	size_t example = add(*state, "example.org.");
	size_t com = add(*state, "example.com.");

	assert_ptr_equal(get(*state, "org."), &blocks[org]);
	assert_ptr_equal(get(*state, "x.org."), &blocks[org]);
	assert_ptr_equal(get(*state, "notexample.org."), &blocks[org]);
	assert_ptr_equal(get(*state, "EXAMPLE.org."), &blocks[example]);
	assert_ptr_equal(get(*state, "b.c.example.org."), &blocks[example]);
	assert_ptr_equal(get(*state, "x.b.c.example.org."), &blocks[example]);
	assert_ptr_equal(get(*state, "a.b.c.example.org."), &blocks[deep]);
	assert_ptr_equal(get(*state, "x.a.b.c.example.org."), &blocks[deep]);
	assert_ptr_equal(get(*state, "a.example.com."), &blocks[com]);
	assert_null(get(*state, "com."));
	assert_null(get(*state, "a.com."));
	assert_null(get(*state, "."));
	assert_null(get(*state, "example.org.net."));
}

static void test_root(void **state)
{
	size_t root = add(*state, ".");
	size_t org = add(*state, "org.");

	assert_ptr_equal(get(*state, "."), &blocks[root]);
	assert_ptr_equal(get(*state, "example.com."), &blocks[root]);
	assert_ptr_equal(get(*state, "example.org."), &blocks[org]);
}

static void test_duplicates(void **state)
{
	const struct vigie_key *first;
	struct vigie_key again = {.port = 1053};
	size_t org = add(*state, "org.");
	size_t root = add(*state, ".");

	vigie_name_from_text(&again.zone, "ORG");
	assert_int_equal(zone_table_add(*state, &again, &blocks[MANY - 1], &first), VIGIE_EEXIST);
	assert_ptr_equal(first, &keys[org]);
	assert_ptr_equal(get(*state, "org."), &blocks[org]);
	vigie_name_from_text(&again.zone, ".");
	assert_int_equal(zone_table_add(*state, &again, &blocks[MANY - 1], &first), VIGIE_EEXIST);
	assert_ptr_equal(first, &keys[root]);
	assert_ptr_equal(get(*state, "com."), &blocks[root]);
}

static void test_find(void **state)
{
	struct vigie_name name;
	size_t org = add(*state, "org.");

	vigie_name_from_text(&name, "org.");
	assert_ptr_equal(zone_table_find(*state, &name), &keys[org]);
	vigie_name_from_text(&name, "a.org."); /* exactly the zone, not what is below it */
	assert_null(zone_table_find(*state, &name));
}

/* The table grows after eight zones, and goes on growing; the root moves with it. */
static void test_growth(void **state)
{
	static char zones[MANY][32];
	size_t root = add(*state, ".");

	for (unsigned i = 1; i < MANY; i++) {
		snprintf(zones[i], sizeof(zones[i]), "zone%u.example%u.", i, i % 7);
		add(*state, zones[i]);
		assert_ptr_equal(get(*state, "nobody.org."), &blocks[root]);
		for (unsigned j = i > 40 ? i - 1 : 1; j <= i; j++) {
			assert_ptr_equal(get(*state, zones[j]), &blocks[j]);
			assert_ptr_equal(get(*state, "zone0.example0."), &blocks[root]);
		}
	}
	for (unsigned i = 1; i < MANY; i++)
		assert_ptr_equal(get(*state, zones[i]), &blocks[i]);
}

/* Zones of every depth that a name can have, added from the middle outwards. */
static void test_every_depth(void **state)
{
	static char zones[VIGIE_LABELS_MAX + 1][2 * VIGIE_LABELS_MAX + 1];
	size_t place[VIGIE_LABELS_MAX + 1];

	for (size_t i = 1; i <= VIGIE_LABELS_MAX; i++) {
		for (size_t j = 0; j < i; j++) {
			zones[i][2 * j] = 'x';
			zones[i][2 * j + 1] = '.';
		}
	}
	for (size_t i = 1; i <= VIGIE_LABELS_MAX; i++) {
		size_t depth = i % 2 ? 64 - i / 2 : 64 + i / 2;

		place[depth] = add(*state, zones[depth]);
	}
	for (size_t i = 1; i <= VIGIE_LABELS_MAX; i++)
		assert_ptr_equal(get(*state, zones[i]), &blocks[place[i]]);
}

static bool holds(void *argument, struct vigie_request *request)
{
	return true;
}

/* Takes what the block's argument points at. */
static bool takes(const struct block *block, void *argument)
{
	assert_non_null(block->setup.view_holds); /* others are not asked */
	return *(const bool *)block->setup.view_argument;
}

static const struct block *choose(const struct zone_table *table, const char *text)
{
	struct vigie_name name;

	assert_int_equal(vigie_name_from_text(&name, text), VIGIE_OK);
	return zone_table_select(table, &name, takes, NULL);
}

static void test_views(void **state)
{
	bool yes[4] = {false, false, false, false};
	const struct vigie_key *first;

	for (size_t i = 0; i < 3; i++) {
		blocks[i].setup.view_holds = holds;
		blocks[i].setup.view_argument = &yes[i];
	}
	add(*state, "example.org.");
	add(*state, "example.org.");
	add(*state, "org.");
	blocks[3].setup.view_holds = NULL;
	add(*state, "example.org."); /* it takes what is left */
	assert_int_equal(zone_table_add(*state, &keys[0], &blocks[4], &first), VIGIE_EEXIST);
	assert_ptr_equal(first, &keys[0]);
	assert_ptr_equal(get(*state, "a.example.org."), &blocks[0]);
	assert_ptr_equal(choose(*state, "a.example.org."), &blocks[3]);
	yes[1] = true;
	assert_ptr_equal(choose(*state, "a.example.org."), &blocks[1]);
	yes[0] = true;
	assert_ptr_equal(choose(*state, "a.example.org."), &blocks[0]);
	assert_null(choose(*state, "example.net."));
	assert_null(choose(*state, "a.org."));
	yes[2] = true;
	assert_ptr_equal(choose(*state, "a.org."), &blocks[2]);
	memset(blocks, 0, sizeof(blocks));
}

/* No block of the longest zone takes it: the next shorter one is tried, the root at last. */
static void test_views_of_shorter_zones(void **state)
{
	bool no = false;

	blocks[0].setup.view_holds = holds;
	blocks[0].setup.view_argument = &no;
	add(*state, "example.org.");
	add(*state, ".");
	assert_ptr_equal(choose(*state, "example.org."), &blocks[1]);
	add(*state, "org.");
	assert_ptr_equal(choose(*state, "example.org."), &blocks[2]);
	memset(blocks, 0, sizeof(blocks));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_longest_match, setup, teardown),
		cmocka_unit_test_setup_teardown(test_root, setup, teardown),
		cmocka_unit_test_setup_teardown(test_duplicates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test_setup_teardown(test_growth, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_depth, setup, teardown),
		cmocka_unit_test_setup_teardown(test_views, setup, teardown),
		cmocka_unit_test_setup_teardown(test_views_of_shorter_zones, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

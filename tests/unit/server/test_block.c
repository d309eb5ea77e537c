/* What a block works out of its chain beforehand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "block.h"

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	return VIGIE_NEXT;
}

static void ahead(const void *instance, unsigned step, const struct vigie_query *query, uint64_t *state)
{
}

/* The first that looks ahead is asked to, also when others serve before it. */
static void test_who_looks_ahead(void **state)
{
	static const struct vigie_directive plain = {.name = "plain", .serve = serve};
	static const struct vigie_directive far = {.name = "far", .serve = serve, .ahead = ahead};
	struct link chain[] = {{.directive = &plain}, {.directive = &far}, {.directive = &far}};
	struct block block = {.chain = chain, .chain_count = 3};
	struct block other = {.chain = chain, .chain_count = 1};

	block_plan(&block);
	assert_ptr_equal(block.ahead, &chain[1]);
	block_plan(&other);
	assert_null(other.ahead);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_looks_ahead),
	};

	return cmocka_run_group_tests_name("block", tests, NULL, NULL);
}

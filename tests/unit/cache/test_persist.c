/* The cache file: what one store saved another one loads, aged by the wall clock. */
#include "reply.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "store.h"
#include "vigie/clock.h"
#include "vigie/hash.h"

static struct vigie_cache *cache;
static struct vigie_cache_part *part;
static struct reply reply;
static char folder[] = "/tmp/vigie-persist-XXXXXX";
static char path[64];
static uint64_t now_ms;
static int64_t wall;

static uint64_t clock_ms(void)
{
	return now_ms;
}

static int64_t clock_wall(void)
{
	return wall;
}

static void begin(void)
{
	cache = vigie_cache_new(VIGIE_CACHE_BUDGET_MIN);
	assert_non_null(cache);
	part = vigie_cache_part_acquire(cache, 1);
	assert_non_null(part);
}

static void end(void)
{
	vigie_cache_part_release(cache, part);
	vigie_cache_free(cache);
}

static int setup(void **state)
{
	rcu_register_thread();
	vigie_hash_init();
	now_ms = 5000000;
	wall = 1700000000;
	vigie_clock_set(clock_ms, clock_wall);
	strcpy(folder, "/tmp/vigie-persist-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/file", folder);
	begin();
	return 0;
}

static int teardown(void **state)
{
	end();
	vigie_clock_set(NULL, NULL);
	unlink(path);
	rmdir(folder);
	rcu_unregister_thread();
	return 0;
}

static void store(struct vigie_cache_part *into, uint32_t lifetime)
{
	reply_classify(&reply);
	assert_int_equal(vigie_cache_put(cache, into, &reply.answer, &reply.shape, lifetime, now_ms),
			 VIGIE_OK);
}

static void store_address(const char *name, const char *options, uint32_t mark)
{
	reply_begin(&reply, name, VIGIE_TYPE_A, options, VIGIE_MESSAGE_MAX);
	reply_address(&reply, name, 60, mark);
	reply.answer.flags = VIGIE_FLAG_AD | VIGIE_FLAG_RA;
	store(part, 60);
}

static void save(void)
{
	struct vigie_error error = {""};

	assert_int_equal(vigie_cache_save(cache, path, &error), VIGIE_OK);
	assert_string_equal(error.text, "");
}

/* In a new process, `seconds` later. Its machine may have been started since. */
static void restart(int64_t seconds)
{
	end();
	now_ms = 20000;
	wall += seconds;
	begin();
}

static size_t load(void)
{
	struct vigie_error error = {""};
	size_t count;

	assert_int_equal(vigie_cache_load(cache, path, &count, &error), VIGIE_OK);
	assert_string_equal(error.text, "");
	return count;
}

static void refused(const char *reason)
{
	struct vigie_error error = {""};
	size_t count;

	assert_int_equal(vigie_cache_load(cache, path, &count, &error), VIGIE_EINVAL);
	assert_non_null(strstr(error.text, reason));
	assert_non_null(strstr(error.text, path));
	assert_int_equal(count, 0);
}

static const struct vigie_cached *find(const char *name, const char *options)
{
	reply_begin(&reply, name, VIGIE_TYPE_A, options, VIGIE_MESSAGE_MAX);
	return vigie_cache_find(cache, part, &reply.query);
}

static void test_what_comes_back(void **state)
{
	static const char *const options[] = {"", "edns do", "cd", "edns do cd"};
	const struct vigie_cached *cached;
	uint8_t before[512];
	size_t length;

	for (uint32_t i = 0; i < 4; i++)
		store_address("www.example.org.", options[i], i);
	reply_begin(&reply, "no.example.org.", VIGIE_TYPE_A, "", VIGIE_MESSAGE_MAX);
	reply.answer.rcode = VIGIE_RCODE_NXDOMAIN;
	reply_soa(&reply, "example.org.", 60, 30);
	store(part, 30);
	reply_begin(&reply, "www.example.org.", VIGIE_TYPE_A, "", VIGIE_MESSAGE_MAX);
	vigie_cached_write(find("www.example.org.", ""), &reply.answer, 0, 0, UINT32_MAX);
	length = vigie_answer_end(&reply.answer);
	memcpy(before, reply.buffer, length);
	now_ms += 7000; /* of age */
	save();
	restart(11);
	assert_int_equal(load(), 5);
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t mark;

		cached = find("www.example.org.", options[i]);
		assert_non_null(cached);
		assert_int_equal(vigie_cached_age_ms(cached, now_ms), 18000);
		assert_int_equal(vigie_cached_lifetime(cached), 60);
		memcpy(&mark, vigie_cached_records(cached) + cached->length - 4, sizeof(mark));
		assert_int_equal(mark, i);
	}
	cached = find("www.example.org.", "");
	vigie_cached_write(cached, &reply.answer, 0, 0, UINT32_MAX);
	assert_int_equal(vigie_answer_end(&reply.answer), length);
	assert_memory_equal(reply.buffer, before, length);
	cached = find("no.example.org.", "");
	assert_int_equal(vigie_cached_kind(cached), VIGIE_CACHED_NXDOMAIN);
	assert_int_equal(vigie_cached_lifetime(cached), 30);
	/* What has been loaded may be saved again. */
	save();
	restart(1);
	assert_int_equal(load(), 5);
	assert_int_equal(vigie_cached_age_ms(find("www.example.org.", ""), now_ms), 19000);
}

static void test_what_does_not(void **state)
{
	struct vigie_cache_part *other = vigie_cache_part_acquire(cache, 2);

	store_address("old.example.org.", "", 1);
	reply_begin(&reply, "fails.example.org.", VIGIE_TYPE_A, "", VIGIE_MESSAGE_MAX);
	reply.answer.rcode = VIGIE_RCODE_SERVFAIL;
	store(part, 5);
	reply_begin(&reply, "other.example.org.", VIGIE_TYPE_A, "", VIGIE_MESSAGE_MAX);
	reply_address(&reply, "other.example.org.", 60, 1);
	store(other, 60);
	vigie_cache_part_release(cache, other);
	save();
	restart(1);
	store_address("old.example.org.", "", 2); /* newer than the file's */
	assert_int_equal(load(), 0);
	assert_int_equal(vigie_cached_age_ms(find("old.example.org.", ""), now_ms), 0);
	assert_null(find("fails.example.org.", ""));
}

static void test_refused(void **state)
{
	uint8_t byte;
	FILE *file;

	refused("No such file");
	store_address("www.example.org.", "", 1);
	save();
	restart(-1);
	refused("from the future");
	restart(1 + VIGIE_CACHE_PERSIST_AGE_MAX + 1);
	refused("too old");
	wall = 1700000000;
	for (long at = 0;; at++) {
		file = fopen(path, "r+");
		assert_non_null(file);
		fseek(file, at, SEEK_SET);
		if (fread(&byte, 1, 1, file) != 1)
			break;
		byte ^= 0x10;
		fseek(file, at, SEEK_SET);
		fwrite(&byte, 1, 1, file);
		fclose(file);
		refused("is not used: ");
		file = fopen(path, "r+");
		fseek(file, at, SEEK_SET);
		byte ^= 0x10;
		fwrite(&byte, 1, 1, file);
		fclose(file);
	}
	fclose(file);
	assert_int_equal(load(), 1);
	restart(0);
	for (struct stat stat; lstat(path, &stat) == 0 && stat.st_size > 0;) {
		assert_int_equal(truncate(path, stat.st_size - 1), 0);
		refused("is not used: ");
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused("it is no file");
}

/* Nothing of a file that could not be written is left, and the old one stays. */
static void test_unwritable(void **state)
{
	struct vigie_error error = {""};
	char file[80];

	snprintf(file, sizeof(file), "%s/none/file", folder);
	assert_int_equal(vigie_cache_save(cache, file, &error), VIGIE_EIO);
	assert_non_null(strstr(error.text, "cannot write the cache file"));
	assert_int_equal(vigie_cache_save(cache, folder, &error), VIGIE_EIO);
	snprintf(file, sizeof(file), "%s.new", folder);
	assert_int_equal(access(file, F_OK), -1);
}

/* A store that is full is saved whole, and one that is smaller takes what it has room for. */
static void test_full(void **state)
{
	struct vigie_cache_part_count count;
	size_t loaded;

	for (unsigned i = 0; i < 20000; i++) {
		char name[64];

		snprintf(name, sizeof(name), "name-%u.example.org.", i);
		reply_begin(&reply, name, VIGIE_TYPE_A, "", VIGIE_MESSAGE_MAX);
		reply_address(&reply, name, 60, i);
		reply_classify(&reply);
		vigie_cache_put(cache, part, &reply.answer, &reply.shape, 60, now_ms);
		rcu_quiescent_state();
	}
	vigie_cache_part_count(part, &count);
	assert_true(count.entries[VIGIE_CACHED_ANSWER] > 2000);
	save();
	restart(1);
	loaded = load();
	assert_true(loaded > count.entries[VIGIE_CACHED_ANSWER] * 9 / 10);
	assert_true(loaded <= count.entries[VIGIE_CACHED_ANSWER]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_does_not, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unwritable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

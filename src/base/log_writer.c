#include "log_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "log_line.h"
#include "vigie/thread.h"

enum { STOP_TURNS = 10 /* times VIGIE_LOG_STOP_SECONDS, while the writer waits for its CPU */ };

/* A ring of bytes with one thread that fills it and one, the writer, that empties it. Whole lines only. */
struct ring {
	struct ring *next;
	atomic_size_t head; /* bytes put so far */
	atomic_size_t tail; /* bytes taken so far */
	atomic_bool gone;   /* its thread has ended: the writer frees it when it is empty */
	char bytes[VIGIE_LOG_BUFFER];
};

static _Atomic(struct ring *) new_rings; /* that the writer has not seen yet */
static struct ring *rings;               /* the writer's */
static atomic_bool running;
static atomic_bool stopping;
static atomic_bool sleeping;
static atomic_bool writing; /* the writer is, or waits until it may */
static atomic_uint_fast64_t lost;
static uint_fast64_t told; /* of those lost, those that the log itself told of; the writer's */
static bool broken;        /* a line may have been cut by the last write; the writer's */
static int wake = -1;
static pthread_t thread;
static pthread_key_t ring_key;

static void on_thread_end(void *argument)
{
	struct ring *ring = argument;

	atomic_store(&ring->gone, true);
}

static struct ring *get_ring(void)
{
	struct ring *ring = pthread_getspecific(ring_key);

	if (ring)
		return ring;
	ring = malloc(sizeof(*ring)); /* its bytes cost memory when they are used first */
	if (!ring)
		return NULL;
	atomic_init(&ring->head, 0);
	atomic_init(&ring->tail, 0);
	atomic_init(&ring->gone, false);
	if (pthread_setspecific(ring_key, ring)) {
		free(ring);
		return NULL;
	}
	ring->next = atomic_load(&new_rings);
	while (!atomic_compare_exchange_weak(&new_rings, &ring->next, ring))
		continue;
	return ring;
}

static void notify(void)
{
	uint64_t one = 1;

	if (write(wake, &one, sizeof(one)) < 0)
		return; /* it is awake, then: the counter is full */
}

bool log_writer_put(const char *lines, size_t length)
{
	struct ring *ring;
	size_t head;
	size_t at;
	size_t first;

	if (!atomic_load_explicit(&running, memory_order_acquire))
		return false;
	ring = get_ring();
	head = ring ? atomic_load_explicit(&ring->head, memory_order_relaxed) : 0;
	if (!ring ||
	    VIGIE_LOG_BUFFER - (head - atomic_load_explicit(&ring->tail, memory_order_acquire)) < length) {
		atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
		return true;
	}
	at = head % VIGIE_LOG_BUFFER;
	first = length < VIGIE_LOG_BUFFER - at ? length : VIGIE_LOG_BUFFER - at;
	memcpy(ring->bytes + at, lines, first);
	memcpy(ring->bytes, lines + first, length - first);
	/* Both in one total order with the writer's: either it sees the line, or this thread sees it asleep.
	 */
	atomic_store(&ring->head, head + length);
	if (atomic_load(&sleeping))
		notify();
	return true;
}

/* As write_all does, which says that it is about to. */
static bool write_parts(struct iovec *parts, int count)
{
	while (count > 0) {
		ssize_t wrote = writev(STDOUT_FILENO, parts, count);

		if (wrote < 0 && errno == EAGAIN) {
			struct pollfd full = {.fd = STDOUT_FILENO, .events = POLLOUT};

			poll(&full, 1, -1);
			continue;
		}
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return false;
		while (count > 0 && (size_t)wrote >= parts->iov_len) {
			wrote -= (ssize_t)parts->iov_len;
			parts++;
			count--;
		}
		if (count > 0) {
			parts->iov_base = (char *)parts->iov_base + wrote;
			parts->iov_len -= (size_t)wrote;
		}
	}
	return true;
}

/* Writes all; false when standard output is gone. Waits where it is full. */
static bool write_all(struct iovec *parts, int count)
{
	bool good;

	atomic_store(&writing, true);
	good = write_parts(parts, count);
	atomic_store(&writing, false);
	return good;
}

static size_t count_lines(const struct iovec *parts, int count)
{
	size_t lines = 0;

	for (int i = 0; i < count; i++) {
		const char *end = (char *)parts[i].iov_base + parts[i].iov_len;

		for (const char *at = parts[i].iov_base; (at = memchr(at, '\n', (size_t)(end - at))); at++)
			lines++;
	}
	return lines;
}

/* Writes what a ring holds; false when it was empty. What cannot be written, such as on a full disk, is lost.
 */
static bool empty_ring(struct ring *ring)
{
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	size_t length = atomic_load(&ring->head) - tail;
	size_t at = tail % VIGIE_LOG_BUFFER;
	size_t first = length < VIGIE_LOG_BUFFER - at ? length : VIGIE_LOG_BUFFER - at;
	struct iovec parts[] = {{ring->bytes + at, first}, {ring->bytes, length - first}};
	int count = length > first ? 2 : 1;

	if (length == 0)
		return false;
	if (broken) {
		struct iovec end = {(char *)"\n", 1};

		broken = !write_all(&end, 1);
	}
	broken = broken || !write_all(parts, count);
	if (broken)
		atomic_fetch_add_explicit(&lost, count_lines(parts, count), memory_order_relaxed);
	atomic_store_explicit(&ring->tail, tail + length, memory_order_release);
	return true;
}

static bool empty_rings(void)
{
	struct ring *more = atomic_exchange(&new_rings, NULL);
	bool any = false;

	while (more) {
		struct ring *next = more->next;

		more->next = rings;
		rings = more;
		more = next;
	}
	for (struct ring **at = &rings; *at;) {
		struct ring *ring = *at;
		bool gone = atomic_load(&ring->gone);

		if (empty_ring(ring)) {
			any = true;
		} else if (gone) {
			*at = ring->next;
			free(ring);
			continue;
		}
		at = &ring->next;
	}
	return any;
}

/* Tells of lines that were lost, once others are written again: what may be cut must end first. */
static void tell_lost(void)
{
	uint_fast64_t now = atomic_load(&lost);
	struct iovec part;
	char text[128];
	char line[VIGIE_LOG_LINE_MAX];

	if (broken || now == told)
		return;
	snprintf(text, sizeof(text), "%llu log lines were lost: standard output is full or too slow",
		 (unsigned long long)(now - told));
	part.iov_base = line;
	part.iov_len = log_line(line, VIGIE_LOG_WARNING, NULL, text);
	broken = !write_all(&part, 1);
	if (!broken)
		told = now;
}

static void *run(void *argument)
{
	vigie_thread_set("log", VIGIE_THREAD_BACKGROUND);
	for (;;) {
		bool end = atomic_load(&stopping); /* before the last look */
		uint64_t count;

		if (empty_rings()) {
			tell_lost();
			continue;
		}
		if (end)
			return NULL;
		atomic_store(&sleeping, true);
		if (!empty_rings() && !atomic_load(&stopping) && read(wake, &count, sizeof(count)) < 0 &&
		    errno != EINTR)
			return NULL;
		atomic_store(&sleeping, false);
	}
}

enum vigie_status vigie_log_start(void)
{
	wake = eventfd(0, EFD_CLOEXEC);
	if (wake < 0)
		return VIGIE_EIO;
	if (pthread_key_create(&ring_key, on_thread_end))
		goto fail;
	atomic_store(&stopping, false);
	told = atomic_load(&lost);
	if (pthread_create(&thread, NULL, run, NULL)) {
		pthread_key_delete(ring_key);
		goto fail;
	}
	atomic_store(&running, true);
	return VIGIE_OK;

fail:
	close(wake);
	return VIGIE_EIO;
}

/* Whether the writer has ended. It is nice, so on a busy machine it may have to wait for its CPU; it is not
 * waited for where it hangs in a write that nobody reads. */
static bool await_end(void)
{
	for (int turns = 0; turns < STOP_TURNS; turns++) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += VIGIE_LOG_STOP_SECONDS;
		if (pthread_timedjoin_np(thread, NULL, &until) == 0)
			return true;
		if (atomic_load(&writing))
			return false;
	}
	return false;
}

void vigie_log_stop(void)
{
	if (!atomic_exchange(&running, false))
		return;
	atomic_store(&stopping, true);
	notify();
	if (!await_end())
		return; /* the process ends all the same */
	while (rings) {
		struct ring *next = rings->next;

		free(rings);
		rings = next;
	}
	pthread_key_delete(ring_key);
	close(wake);
}

uint64_t vigie_log_lost(void)
{
	return atomic_load_explicit(&lost, memory_order_relaxed);
}

#include "vigie/thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	NICE_MAX = 19,
	SLICE_NS = 100000 /* the shortest that the kernel knows, 0.1 ms */
};

/* What sched_setattr(2) takes; Debian's C library has no name for it. */
struct attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime; /* ns: the slice of an ordinary thread, since Linux 6.12 */
	uint64_t deadline;
	uint64_t period;
};

/* By rank: how much nicer than the process began. Four is two fifths of the weight of a thread that answers,
 * ten is a tenth. */
static const int niceness[] = {
	[VIGIE_THREAD_PACKETS] = 0,
	[VIGIE_THREAD_CONTROL] = 4,
	[VIGIE_THREAD_BACKGROUND] = 10,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int began; /* the process' nice value before any thread got a rank */
static _Thread_local int set = -1;

static void note_nice(void)
{
	began = getpriority(PRIO_PROCESS, 0);
}

void vigie_thread_set(const char *name, enum vigie_thread_rank rank)
{
	struct attributes attributes = {.size = sizeof(attributes)};

	if (set == (int)rank)
		return;
	set = (int)rank;
	if (name)
		pthread_setname_np(pthread_self(), name);
	pthread_once(&once, note_nice);
	/* A thread that has just been woken takes the CPU from one with a longer slice at once, else when
	 * that one's is over (3 ms). One of the batch kind takes it from nobody when it is woken. */
	attributes.policy = rank == VIGIE_THREAD_PACKETS ? SCHED_OTHER : SCHED_BATCH;
	attributes.runtime = rank == VIGIE_THREAD_PACKETS ? SLICE_NS : 0;
	attributes.nice = began + niceness[rank] < NICE_MAX ? began + niceness[rank] : NICE_MAX;
	syscall(SYS_sched_setattr, 0, &attributes, 0);
}

/* How a thread stands beside those that answer packets. */
#ifndef VIGIE_THREAD_H
#define VIGIE_THREAD_H

enum vigie_thread_rank {
	VIGIE_THREAD_PACKETS,   /* answers queries: has the CPU as soon as it wants it */
	VIGIE_THREAD_CONTROL,   /* watcher; HTTP, control socket, reload: gives way, but must get on */
	VIGIE_THREAD_BACKGROUND /* logs and files: has what the others leave */
};

/* Gives the calling thread its rank, and its name where there is one (at most 15 bytes, for `top -H`).
 * Threads that it makes later inherit the rank and can only be given a lower one, since raising it takes a
 * privilege. Where the system refuses, as a strict seccomp filter does, only who waits for whom changes.
 * Costs a comparison when the thread has the rank already. */
void vigie_thread_set(const char *name, enum vigie_thread_rank rank);

#endif

/* The server's state, for the files that make it up. */
#ifndef VIGIE_SERVER_STATE_H
#define VIGIE_SERVER_STATE_H

#include <stdatomic.h>
#include <uv.h>

#include "generation.h"
#include "vigie/metrics.h"
#include "vigie/server.h"
#include "worker.h"

enum {
	READY_POLL_MS = 5,        /* how often readiness is looked at before the first answer */
	READY_LOG_AFTER_MS = 500, /* how often the log says that it is waited for */
	RELOAD_READY_MS = 5000,   /* at least so long is waited for the next configuration to be ready */
	RELOAD_WAITERS_MAX = 64   /* who wait for the end of one reload */
};

/* The change from one configuration to the next. At most one is under way. */
struct reload {
	const char *path; /* of the Corefile; borrowed; NULL: there is none to read again */
	uint16_t port;
	struct generation *next; /* started, not ready yet */
	struct generation *old;  /* some worker has requests under way in it */
	uint64_t start_ms;
	uv_timer_t wait;   /* until `next` is ready */
	uv_async_t handed; /* a worker is done with `old` */
	atomic_uint workers_done;
	bool again;                         /* another one was asked for meanwhile */
	uint64_t done;                      /* how many configurations were put in the place of another */
	uint64_t failed;                    /* how many were refused */
	char refused[GENERATION_HASH_TEXT]; /* the one that was refused last: the timer does not try it again
					     */
	char error[512];                    /* why; empty: the last one was taken */
	struct {
		vigie_reload_done *done;
		void *argument;
	} waiters[RELOAD_WAITERS_MAX];
	size_t waiter_count;
};

struct vigie_server {
	struct vigie_process process; /* what the processes of all generations begin as */
	struct generation *current;   /* that answers */
	struct worker **workers;
	unsigned worker_count;
	atomic_uint workers_ended;
	uint64_t start_ms;
	uint64_t log_ms;  /* when the log says next that it is waited for */
	uv_timer_t wait;  /* for readiness at the start, for the end of the lame duck later */
	uv_async_t ended; /* a worker's thread has ended */
	unsigned handles; /* that the loop has not closed yet */
	bool serving;
	bool draining;
	void (*done)(void *argument);
	void *done_argument;
	struct reload reload;
	struct vigie_control *control; /* NULL: nobody can ask */
	char *control_path;            /* that it was opened with */
	struct asking *asking;         /* a question that directives need several turns for; NULL: none */
};

/* How many workers a configuration asks for. */
unsigned server_workers(const struct vigie_process *process);

void reload_add_metrics(const struct vigie_server *server, struct vigie_metrics *metrics);

/* What belongs to reload, for the life of the server. */
void reload_init(struct vigie_server *server);
void reload_drain(struct vigie_server *server);                     /* none is begun any more */
void reload_close(struct vigie_server *server, uv_close_cb closed); /* two handles; frees generations */

#endif

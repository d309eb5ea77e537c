/* A Corefile directive: how it reads its options and where it hooks into its block's chain. One file in
 * src/directives for each, named after it; registry.c lists them in chain order, which is CoreDNS' plugin.cfg
 * order, not the file's. */
#ifndef VIGIE_DIRECTIVE_H
#define VIGIE_DIRECTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "vigie/arena.h"
#include "vigie/corefile.h"
#include "vigie/request.h"
#include "vigie/status.h"

struct guarded;
struct vigie_buffer;
struct json_t;
struct vigie_http;
struct vigie_keep;
struct vigie_metrics;
struct vigie_tls;
struct vigie_transfer;
struct vigie_zone;

enum {
	VIGIE_WORKERS_MAX = 256 /* worker threads */
};

/* What the directives of all blocks settle together. */
struct vigie_process {
	uv_loop_t *loop; /* the main thread's */
	struct vigie_http *http;
	struct vigie_keep *keep; /* what is handed on when the configuration is reloaded (keep.h) */
	unsigned workers; /* 0: one for each CPU that the cgroup allows; how many there are from `start` on */
	unsigned sockets; /* what `multisocket` asks for where `workers` says nothing; 0: nothing */
	bool debug;       /* debug lines are logged */
	const char *control;  /* the control socket; NULL: the default one, "off": none */
	uint64_t lameduck_ms; /* how long to serve on after SIGTERM */
	uint64_t
		startup_ms; /* how long to wait for `synced` before the first answer: the longest asked for */
	bool draining;      /* SIGTERM came */
	size_t cache_budget;       /* bytes that `cache` may take in all; 0: nobody has said */
	const char *cache_persist; /* the file that `cache` is saved to; NULL: it is not */
	uint64_t cache_persist_ms; /* how often */
	unsigned cache_waiting;    /* instances of `cache` that are not started yet */
	const void *cache_first;   /* the first instance of `cache`: it shows the metrics of what all share */

	/* Stands first in every block's chain, without an instance: set by the setup of a directive that
	 * answers some questions whatever block they come to. NULL: nothing does. */
	const struct vigie_directive *first;

	struct guarded *guarded; /* the zones of all `kubernetes` directives (directives/guard.h) */

	/* Whether every directive of every block is ready; else the names of those that are not, with commas,
	 * are appended to `names` (may be NULL). Set by the server. */
	bool (*ready)(void *server, struct vigie_buffer *names);

	/* Appends what the directives have to say of their state. Set by the server. */
	void (*detail)(void *server, struct vigie_buffer *text);

	/* Reads the Corefile again and takes it if it has changed. Set by the server. */
	void (*reload)(void *server);

	/* Adds the metrics of the server and of every directive of every block. Set by the server. */
	void (*metrics)(void *server, struct vigie_metrics *metrics);

	/* The listeners of the whole configuration; there from `start` on. */
	const struct vigie_server_name *const *servers;
	size_t server_count;
	void *server;
};

/* One zone of a block at one of its listeners. */
struct vigie_place {
	const struct vigie_server_name *server;
	const struct vigie_key *key;
};

/* Of a block's connections by TCP and TLS, milliseconds; 0: VIGIE_TCP_IDLE_MS. */
struct vigie_timeouts {
	uint64_t read_ms;     /* for a query to be whole, from its first byte or the connection's begin */
	uint64_t write_ms;    /* for the client to read something of what is sent to it */
	uint64_t idle_ms;     /* from one query to the next */
	unsigned queries_max; /* then the connection is closed; 0: no bound */
};

/* One server block while it is set up. */
struct vigie_block {
	struct vigie_process *process;
	const struct vigie_server_block *source; /* borrowed until the configuration is freed, as all below */
	struct vigie_arena *arena;               /* lives as long as the block: instances may be put here */
	const char **addresses;                  /* `bind`: addresses to listen on, text; none: all */
	size_t address_count;
	const char *root; /* `root`: where relative paths begin; NULL: the working directory */
	struct vigie_timeouts timeouts;
	struct vigie_tls *tls;           /* `tls`: what tls:// keys are served with; NULL: there is none */
	struct vigie_transfer *transfer; /* `transfer`: who is told of changed zones; NULL: nobody */
	const struct vigie_name
		*metadata_zones; /* `metadata`: for whose names directives may be asked; none: no */
	size_t metadata_zone_count;
	/* `view`: its name, "" for a block without, and whether it takes a query. */
	const char *view;
	bool (*view_holds)(void *argument, struct vigie_request *request);
	void *view_argument;
	void *kubernetes; /* the block's `kubernetes`, once it is set up; for directives that ask it something
			   */
	bool recursive;   /* a directive answers for the rest of the world: RA is set */
	uint16_t bufsize; /* `bufsize`: the most that upstreams are told to send by UDP; 0: the usual */

	/* From `start` on: where it is served, what the `server` label of a directive's metrics says (the
	 * first of these), and the names of the chain's directives, which struct vigie_request counts. */
	struct vigie_place *places;
	size_t place_count;
	const char *server;
	const char *const *chain;
	size_t chain_count;

	/* Asks the directives of the chain for a zone, as their `zone` does: the first one that has it gives
	 * it. Set by the server. */
	enum vigie_status (*zone)(const struct vigie_block *block, const struct vigie_name *origin,
				  struct vigie_zone **zone);
};

/* What else a directive is in the chain. */
enum vigie_role {
	VIGIE_ROLE_ANY,
	VIGIE_ROLE_MEMORY, /* it answers out of memory what this server knows itself, and looks at nothing
			    * else
			    */
	VIGIE_ROLE_HOLDER  /* it holds other servers' answers, never this one's: those of VIGIE_ROLE_MEMORY
			    * that  stand right behind it are asked first, which gives the same answers for
			    * less
			    */
};

struct vigie_directive {
	const char *name;
	enum vigie_role role;

	/* Reads all statements of this name in one block, in file order (at least one), and makes the
	 * instance; it may be NULL when the directive only sets the block up. No I/O but reading files.
	 * `error` names file, line and word. */
	enum vigie_status (*setup)(struct vigie_block *block, const struct vigie_statement *const *statements,
				   size_t count, void **instance, struct vigie_error *error);

	/* Starts threads, listeners and timers, in the main thread, when every block is set up. NULL: nothing
	 * to do. */
	enum vigie_status (*start)(struct vigie_block *block, void *instance, struct vigie_error *error);

	/* SIGTERM: the lame-duck time begins. NULL: nothing to do. */
	void (*drain)(void *instance);

	/* Ends what start began; no request is under way any more. NULL: nothing to do. */
	void (*stop)(void *instance);

	/* Frees the instance. NULL: it lives in the block's arena. */
	void (*free)(void *instance);

	/* A query's turn. Runs in worker threads, online for RCU. NULL: it only looks at answers, or
	 * at nothing. */
	enum vigie_verdict (*serve)(void *instance, struct vigie_request *request);

	/* Looks ahead at queries that `serve` will be called for soon: brings what it will look at into the
	 * CPU's cache without waiting for it. It is called for all of them with step 0, then with step 1 and
	 * so on to VIGIE_AHEAD_STEPS; `query` is there at step 0 only, `state` is its own, 0 at first. `far`
	 * says whether that is worth it: what it looks at is more than a cache holds. Only the first
	 * directive of a chain that has it is asked. NULL, both: never. */
	bool (*far)(const void *instance);
	void (*ahead)(const void *instance, unsigned step, const struct vigie_query *query, uint64_t *state);

	/* The answer is ready (not yet ended); runs in reverse chain order for the directives that were
	 * passed. NULL: not interested. */
	void (*answered)(void *instance, struct vigie_request *request);

	/* What this instance knows of a query: `label` is what stands behind the directive's name and a
	 * slash, such as "client-namespace". Writes text to `value` (VIGIE_NAME_TEXT_MAX bytes). False when
	 * it knows nothing. NULL: never. */
	bool (*metadata)(void *instance, struct vigie_request *request, const char *label, char *value);

	/* Adds this instance's metrics at a scrape, in the main thread (metrics.h). Counters that workers
	 * write are per worker and summed here. NULL: it has none. */
	void (*metrics)(void *instance, struct vigie_metrics *metrics);

	/* A whole zone, for `transfer`: a snapshot with a reference. Runs in a thread of libuv's pool that is
	 * registered with RCU and online. VIGIE_ENOENT: the zone is another's; other failures: it is this
	 * one's, and not to be had. NULL: it has no zones. */
	enum vigie_status (*zone)(void *instance, const struct vigie_name *origin, struct vigie_zone **zone);

	/* A NOTIFY for a zone came (RFC 1996); in a worker's thread. Whether the zone is this one's and the
	 * client one that may notify. NULL: it has no zones from elsewhere. */
	bool (*notify)(void *instance, const struct vigie_name *origin, const struct sockaddr *client);
	/* Answers a question of `vigie ctl` (control.h) that is for this directive: adds to the object
	 * `reply`. False when it is not for it. `turn` is 0 at first; a directive that leaves another number
	 * there is called with it again in the loop's next turn, so that much work does not hold the loop up.
	 * In the main thread, online for RCU. NULL: none is. */
	bool (*control)(void *instance, const char *const *words, struct json_t *reply, size_t *turn);

	/* Whether the configuration allows this client by name: it may be told of the server's inside (CH TXT
	 * queries below vigie.). Runs in worker threads. NULL: no. */
	bool (*admits)(void *instance, const struct vigie_request *request);

	/* Whether /ready may say so. Once true it is not asked again. NULL: always. */
	bool (*ready)(void *instance);

	/* Appends lines that say how ready it is and since when, for people (/ready/detail). NULL: nothing.
	 */
	void (*detail)(void *instance, struct vigie_buffer *text);
};

/* All directives in chain order, closed by NULL. */
extern const struct vigie_directive *const vigie_directives[];

/* NULL when there is none of that name. */
const struct vigie_directive *vigie_directive_get(const char *name);

/* Helpers for setup functions; all name file, line and word in `error`. */

/* The statement must have from `least` to `most` arguments. */
enum vigie_status vigie_statement_args(const struct vigie_statement *statement, size_t least, size_t most,
				       struct vigie_error *error);

/* The directive may stand only once in a block. */
enum vigie_status vigie_statement_once(const struct vigie_statement *const *statements, size_t count,
				       struct vigie_error *error);

/* The statement must have no block of options. */
enum vigie_status vigie_statement_plain(const struct vigie_statement *statement, struct vigie_error *error);

/* The directive may stand only once in a block, without arguments and options. */
enum vigie_status vigie_statement_bare(const struct vigie_statement *const *statements, size_t count,
				       struct vigie_error *error);

/* The directive may stand only once in a block, with a HOST:PORT to serve HTTP at, `otherwise` when it names
 * none. */
enum vigie_status vigie_statement_http(const struct vigie_statement *const *statements, size_t count,
				       const char *otherwise, const char **address,
				       struct vigie_error *error);

/* "unknown directive 'WORD'", with what may have been meant. Returns VIGIE_EINVAL. */
enum vigie_status vigie_directive_unknown(const struct vigie_word *word, struct vigie_error *error);

/* A path of the Corefile, below the block's `root` when it is relative. NULL when memory is out. */
const char *vigie_block_path(const struct vigie_block *block, const char *path);

/* Writes where a started block is first served, so that the next configuration's block in its place has the
 * same text: part of the key of what is kept for that (keep.h). Returns the text's length; 0 when the block
 * is served nowhere, or `size` bytes are too few. */
size_t vigie_block_place(const struct vigie_block *block, char *text, size_t size);

/* The arguments of a statement as one text, with single spaces between them; in the arena. NULL when memory
 * is out. */
const char *vigie_statement_join(const struct vigie_statement *statement, struct vigie_arena *arena);

/* Appends all words of a statement, its options included, so that equal texts mean equal statements: the key
 * of what is handed on when the configuration is reloaded (keep.h). VIGIE_ENOMEM, VIGIE_ENOSPC. */
enum vigie_status vigie_statement_text(const struct vigie_statement *statement, struct vigie_buffer *text);

/* "unknown option 'WORD' of 'DIRECTIVE'", with what may have been meant: the options that there are stand in
 * src/directives/words.c. Returns VIGIE_EINVAL. */
enum vigie_status vigie_option_unknown(const struct vigie_statement *directive,
				       const struct vigie_statement *option, struct vigie_error *error);

#endif

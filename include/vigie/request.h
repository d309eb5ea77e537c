/* A query on its way through its block's chain, and what the server offers to the directives there. */
#ifndef VIGIE_REQUEST_H
#define VIGIE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "vigie/answer.h"
#include "vigie/query.h"
#include "vigie/status.h"

struct vigie_exchanger;
struct vigie_request;
struct vigie_pending;
struct vigie_trace;

/* What a directive decided. */
enum vigie_verdict {
	VIGIE_NEXT,     /* not mine: the next directive of the chain */
	VIGIE_ANSWERED, /* request->answer is the answer (an error's rcode included) */
	VIGIE_DROP,     /* send nothing */
	VIGIE_SUSPENDED /* it will be resumed; `request` must not be touched any more */
};

enum vigie_channel {
	VIGIE_CHANNEL_UDP,
	VIGIE_CHANNEL_TCP,
	VIGIE_CHANNEL_INTERNAL /* a look-up by another directive */
};

/* A listener, as metrics call it. */
struct vigie_server_name {
	unsigned number; /* from 0 */
	char text[88];   /* CoreDNS' "dns://:53", "tls://10.0.0.1:853" */
};

/* Work that a directive puts off to the end of the batch in which it serves; see vigie_worker_defer. */
struct vigie_deferred {
	struct vigie_deferred *next;
	/* In the worker's thread. `began_us` is when the batch was read. */
	void (*run)(struct vigie_deferred *deferred, uint64_t began_us, uint64_t now_us);
	bool waits; /* it is in the worker's list */
};

/* What the server does for directives; reached by the functions below. */
struct vigie_request_ops;

/* One worker, as directives see it. Used by its own thread only. */
struct vigie_worker {
	uv_loop_t *loop;
	unsigned index;
	uint64_t now_ms; /* vigie_clock_ms, read once a batch */
	uint64_t now_us; /* the same moment */
	struct vigie_deferred *deferred;
	struct vigie_exchanger *exchanger;
	const struct vigie_request_ops *ops;
	uint32_t rotation; /* counted up for each request whose answer is to be rotated */
};

/* An answer of many messages by TCP: a zone transfer (RFC 5936). The directive writes the first one as any
 * answer and leaves the source of the others in the request; the server asks it for one whenever the client
 * has read the one before. Its thread is the worker's, online for RCU. It may
 * outlive the configuration that it began under and holds nothing of it. */
struct vigie_stream {
	/* Writes the next message into an answer that is begun for the query; false: there are no more. */
	bool (*next)(struct vigie_stream *stream, struct vigie_answer *answer);
	/* Called once: at the end, or when the connection is gone. */
	void (*free)(struct vigie_stream *stream);
};

/* Where an answer came from. */
enum vigie_source {
	VIGIE_SOURCE_LOCAL,    /* this server: the record table, a file, a rule. `cache` never holds it */
	VIGIE_SOURCE_UPSTREAM, /* another server's reply */
	VIGIE_SOURCE_SILENCE   /* no other server gave a reply that is one */
};

struct vigie_request {
	struct vigie_query *query;   /* a directive may change its flags and edns_size for those behind it */
	struct vigie_answer *answer; /* begun and empty when a directive is called */
	struct vigie_worker *worker;
	const struct sockaddr *client;
	const struct sockaddr *local; /* the address that was asked */
	const struct vigie_server_name *server;
	enum vigie_channel channel;
	unsigned depth;    /* 0 for a client's query; look-ups within look-ups count up */
	bool background;   /* no client waits for its end: an answer is of use however late it comes */
	uint64_t began_us; /* when its batch was read: now_us of that moment */

	/* Queries of one batch share what is above. What is below begins anew with each, and stands together
	 * so that this takes few instructions. */
	size_t link; /* in `answered`: which of the chain's directives answered; the chain's count: none */
	uint64_t deadline_us; /* now_us after which a suspended one gets no answer any more; 0: never */
	const char *trouble;  /* why the answer is an error, for the log; NULL or borrowed until answered */
	const char *upstream; /* whose reply the answer is, "10.0.0.1:53"; as `trouble` */
	struct vigie_stream *stream; /* what follows the answer; NULL: nothing. The server's when set; for
				      * VIGIE_CHANNEL_TCP alone */
	struct vigie_trace *trace;   /* its way is written down there (trace.h); NULL: it is not */
	enum vigie_source source;    /* set by who answers */
	uint32_t rotation;           /* where sets of addresses begin in the answer; 0: in order */
	bool silent;                 /* no directive is to log this one */
};

enum {
	VIGIE_DEPTH_MAX = 8 /* look-ups within look-ups: a loop of names through several blocks ends here */
};

/* Called when a suspended request goes on: writes into request->answer and returns a verdict, as `serve`
 * does. */
typedef enum vigie_verdict vigie_resume(struct vigie_request *request, void *argument);

/* The end of a look-up, in the asking request's thread: `reply` is a whole DNS message, or NULL when there is
 * none (too deep, out of memory, dropped); valid during the call. */
typedef enum vigie_verdict vigie_lookup_done(struct vigie_request *request, const uint8_t *reply,
					     size_t length, void *argument);

struct vigie_request_ops {
	struct vigie_pending *(*suspend)(struct vigie_request *request);
	void (*cancel)(struct vigie_request *request, struct vigie_pending *pending);
	void (*on_abandon)(struct vigie_pending *pending, void (*abandoned)(void *argument), void *argument);
	void (*resume)(struct vigie_pending *pending, vigie_resume *resume, void *argument);
	enum vigie_verdict (*lookup)(struct vigie_request *request, const struct vigie_name *name,
				     uint16_t type, vigie_lookup_done *done, void *argument);
	bool (*metadata)(struct vigie_request *request, const char *label, char *value);
	enum vigie_verdict (*pass)(struct vigie_request *request, const struct vigie_query *query,
				   vigie_lookup_done *done, void *argument);
	bool (*background)(struct vigie_request *request);
	enum vigie_verdict (*await)(struct vigie_request *request, uint32_t timeout_ms,
				    vigie_lookup_done *done, void *argument);
};

/* Takes the request off the fast path: copies what it needs. The directive starts its work, returns
 * VIGIE_SUSPENDED, and resumes it exactly once, later, from the same thread. NULL when memory is out or too
 * many are suspended. */
static inline struct vigie_pending *vigie_request_suspend(struct vigie_request *request)
{
	return request->worker->ops->suspend(request);
}

/* Takes a suspension back, in the same call of `serve`: the work could not be started after all, and the
 * directive answers itself. */
static inline void vigie_request_cancel(struct vigie_request *request, struct vigie_pending *pending)
{
	request->worker->ops->cancel(request, pending);
}

/* Work that ends in another thread may end after its worker: `abandoned` is called when the worker gives the
 * request up, which must not be resumed then. */
static inline void vigie_request_on_abandon(const struct vigie_worker *worker, struct vigie_pending *pending,
					    void (*abandoned)(void *argument), void *argument)
{
	worker->ops->on_abandon(pending, abandoned, argument);
}

/* Goes on with a suspended request: calls `resume` with an empty answer and carries its verdict out
 * (VIGIE_NEXT is the directive after the one that suspended). `worker` is the one that suspended it. */
static inline void vigie_request_resume(const struct vigie_worker *worker, struct vigie_pending *pending,
					vigie_resume *resume, void *argument)
{
	worker->ops->resume(pending, resume, argument);
}

/* Looks another name up, class IN, as a client of this server would: through the block that serves it, from
 * the chain's start. `done` may run before this returns; return what this returns. The answer written before
 * the call is kept for `done`. */
static inline enum vigie_verdict vigie_request_lookup(struct vigie_request *request,
						      const struct vigie_name *name, uint16_t type,
						      vigie_lookup_done *done, void *argument)
{
	return request->worker->ops->lookup(request, name, type, done, argument);
}

/* Lets the rest of the chain serve another query in place of the request's own, and decides by its reply:
 * `done` is called as for a look-up, and what is behind the caller takes no further part. The query is
 * copied, its packet borrowed for the call. A rest of the chain that drops the query drops the request. */
static inline enum vigie_verdict vigie_request_pass(struct vigie_request *request,
						    const struct vigie_query *query, vigie_lookup_done *done,
						    void *argument)
{
	return request->worker->ops->pass(request, query, done, argument);
}

/* Asks a directive of the block what it knows of the query, such as "kubernetes/client-namespace": writes
 * text to `value`, which holds VIGIE_NAME_TEXT_MAX bytes. False when there is nothing, or no `metadata` in
 * the block. */
static inline bool vigie_request_metadata(struct vigie_request *request, const char *label, char *value)
{
	return request->worker->ops->metadata(request, label, value);
}

/* Runs the rest of the chain for a copy of the request, without the client: the directives behind the one
 * that calls this serve it, and they and the caller hear of the answer; then it is forgotten. False when it
 * could not begin. */
static inline bool vigie_request_background(struct vigie_request *request)
{
	return request->worker->ops->background(request);
}

/* The same, and the request waits for the end, for at most `timeout_ms` (0: for as long as it takes): `done`
 * gets the answer, or NULL when there is none by then. The rest of the chain goes on then, in the background.
 * `done` may run before this returns; return what this returns. */
static inline enum vigie_verdict vigie_request_await(struct vigie_request *request, uint32_t timeout_ms,
						     vigie_lookup_done *done, void *argument)
{
	return request->worker->ops->await(request, timeout_ms, done, argument);
}

/* Puts work off to when the batch's answers are on their way, so that one reading of the clock does for all
 * of them. `deferred` must live until then; when it waits already nothing happens. */
static inline void vigie_worker_defer(struct vigie_worker *worker, struct vigie_deferred *deferred)
{
	if (deferred->waits)
		return;
	deferred->waits = true;
	deferred->next = worker->deferred;
	worker->deferred = deferred;
}

/* Makes the answer an error without records. `trouble` as in struct vigie_request; the client is told, too,
 * unless vigie_answer_explain says something else. */
static inline enum vigie_verdict vigie_request_fail(struct vigie_request *request, uint16_t rcode,
						    const char *trouble)
{
	vigie_answer_reset(request->answer);
	request->answer->rcode = rcode;
	request->trouble = trouble;
	if (trouble)
		vigie_answer_explain(request->answer, VIGIE_EDE_OTHER, trouble);
	return VIGIE_ANSWERED;
}

/* The same for what is asked for, and not allowed or not done here: nothing that the log need tell of. `why`:
 * static storage. */
static inline enum vigie_verdict vigie_request_refuse(struct vigie_request *request, enum vigie_ede code,
						      const char *why)
{
	vigie_request_fail(request, VIGIE_RCODE_REFUSED, NULL);
	vigie_answer_explain(request->answer, code, why);
	return VIGIE_ANSWERED;
}

/* Of a class that is served by nobody, or of a transfer that nobody allows. */
static inline enum vigie_verdict vigie_request_refuse_kind(struct vigie_request *request)
{
	if (request->query->class != VIGIE_CLASS_IN)
		return vigie_request_refuse(request, VIGIE_EDE_NOT_SUPPORTED, "no class but IN is served");
	return vigie_request_refuse(request, VIGIE_EDE_PROHIBITED, "no transfer directive allows this");
}

#endif

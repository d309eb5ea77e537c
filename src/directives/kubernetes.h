/* The `kubernetes` directive's options, read (kubernetes_options.c) and put to use (kubernetes.c). */
#ifndef VIGIE_DIRECTIVES_KUBERNETES_H
#define VIGIE_DIRECTIVES_KUBERNETES_H

#include "search_path.h"
#include "vigie/directive.h"
#include "vigie/kube.h"
#include "vigie/records.h"
#include "zones.h"

struct kubernetes {
	const struct vigie_word *source; /* what says where the cluster is, for errors at start */
	struct vigie_view view;
	struct zones zones; /* in the block's arena, as all below */
	struct fallthrough fall;

	/* Where the cluster is. */
	const char *snapshot;
	const char *endpoint;
	const char *certificate;
	const char *key;
	const char *ca;
	const char *kubeconfig;
	const char *context;

	struct vigie_watch_options watch;
	struct vigie_cluster_options cluster_options;
	uint64_t startup_ms;
	bool warm_ready;      /* a table from the warm file is good enough for /ready */
	uint64_t warm_age_ms; /* of the warm file, at most */

	struct vigie_address *local;
	const struct vigie_block *block;
	const struct vigie_statement *statement;
	struct kubernetes_shared
		*shared; /* holds the three below, which the next configuration may take over */
	struct vigie_records *records;
	struct vigie_cluster *cluster;
	struct vigie_watcher *watcher;
	bool is_warm; /* a warm file was read */
	struct kubernetes_signal *signal;
};

/* Whether this instance, of those that share their records, is the one that measures them. */
bool kubernetes_speaks(struct kubernetes *kubernetes);

/* Writes what another directive must have in common to share the records, as a terminated text. VIGIE_ENOMEM.
 */
enum vigie_status kubernetes_key(const struct kubernetes *kubernetes, struct vigie_buffer *key);

/* Hooks of the directive. */
void kubernetes_metrics(void *instance, struct vigie_metrics *metrics);
bool kubernetes_control(void *instance, const char *const *words, struct json_t *reply, size_t *turn);
void kubernetes_detail(void *instance, struct vigie_buffer *text);

/* SIGUSR2 has everything listed anew. The handle is owned by the loop once it is stopped. */
enum vigie_status kubernetes_signal_start(struct kubernetes *kubernetes, uv_loop_t *loop);
void kubernetes_signal_stop(struct kubernetes *kubernetes);

/* Reads the directive of a block. The instance lives in the block's arena. */
enum vigie_status kubernetes_read_options(struct vigie_block *block, const struct vigie_statement *statement,
					  struct kubernetes **instance, struct vigie_error *error);

/* The hook of that name (directive.h): client-namespace, namespace, service, endpoint, kind, port-name,
 * protocol. */
bool kubernetes_metadata(void *instance, struct vigie_request *request, const char *label, char *value);

/* The domains that the client's pod has in its resolv.conf for names of the cluster: those of its namespace,
 * of services, of the zone that the query's name is in. False when it is no pod that is known, or no such
 * name. */
bool kubernetes_search_path(const struct kubernetes *kubernetes, const struct vigie_request *request,
			    struct search_path *path);

#endif

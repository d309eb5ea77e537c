/* The Kubernetes API: where it is, how to prove who we are, watching it, and reading a saved dump of it. */
#ifndef VIGIE_KUBE_H
#define VIGIE_KUBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/cluster.h"
#include "vigie/status.h"

/* How to reach and trust an API server and what to show it. All text is owned; NULL where it is not given.
 * Where both a `_data` and a `_file` exist, the data wins (client-go's rule). */
struct vigie_kube_config {
	char *server;           /* https://HOST[:PORT][/PREFIX] */
	char *tls_server_name;  /* verify the certificate for this name instead of the host */
	char *ca_file;          /* PEM; re-read for each new connection */
	char *ca_data;          /* PEM */
	char *certificate_file; /* PEM, client certificate */
	char *certificate_data;
	char *key_file;
	char *key_data;
	char *token_file; /* re-read each 60 s and on 401: kubelet rotates it */
	char *token;
	char *username; /* basic authentication */
	char *password;
	char *proxy_url;
};

/* From KUBERNETES_SERVICE_HOST and _PORT and the ServiceAccount's files in `directory`
 * (NULL: /var/run/secrets/kubernetes.io/serviceaccount). VIGIE_ENOENT when this is no pod. */
enum vigie_status vigie_kube_config_in_cluster(struct vigie_kube_config *config, const char *directory,
					       struct vigie_error *error);

/* From a kubeconfig file (YAML or JSON); `context` NULL takes its current-context. Relative paths are
 * relative to the file. `exec`, `auth-provider` and `insecure-skip-tls-verify` are refused with an error that
 * says so. */
enum vigie_status vigie_kube_config_from_file(struct vigie_kube_config *config, const char *path,
					      const char *context, struct vigie_error *error);

/* From the directive's `endpoint URL` and `tls CERT KEY CACERT` (any of the three may be NULL). */
enum vigie_status vigie_kube_config_from_endpoint(struct vigie_kube_config *config, const char *url,
						  const char *certificate, const char *key, const char *ca,
						  struct vigie_error *error);

void vigie_kube_config_fini(struct vigie_kube_config *config);

/* A label selector (Kubernetes "Labels and Selectors": equality- and set-based). The API server applies it; a
 * snapshot needs it here. NULL and `error` set when it does not parse. */
struct vigie_selector;
struct vigie_selector *vigie_selector_new(const char *expression, struct vigie_error *error);
void vigie_selector_free(struct vigie_selector *selector);
/* `keys[i]` has `values[i]`. */
bool vigie_selector_matches(const struct vigie_selector *selector, const char *const *keys,
			    const char *const *values, size_t count);

struct vigie_watch_options {
	bool kinds[VIGIE_KINDS]; /* what to watch: as given to the cluster */
	const char
		*selector; /* labels of services, slices and pods; NULL: all. Borrowed until stop, as below */
	const char *namespace_selector; /* labels of namespaces */
	double qps;                     /* requests a second to the API server; 0: 5, as client-go */
	unsigned burst;                 /* 0: 10 */
	unsigned max_inflight;          /* 0: no bound */
	uint64_t silence_ms;            /* a stream that is silent for longer is replaced; 0: 90 s */
};

/* What a watcher tells of one kind. */
struct vigie_watch_state {
	bool synced;
	uint64_t last_seen_ms; /* vigie_clock_ms of the last byte that proved the stream alive; 0: never */
	bool proto;            /* the last bytes were in protobuf, not in JSON */
	char version[64];      /* resourceVersion to resume from */
	char trouble[256];     /* what is wrong now, in words; "" when all is well */
	uint64_t lists;        /* lists (or initial streams) begun */
	uint64_t watches;      /* watch streams begun */
	uint64_t events;       /* objects received */
	uint64_t bad_objects;  /* objects that could not be decoded or taken */
};

enum {
	VIGIE_WATCH_STATUSES = 16, /* HTTP statuses that are counted apart */
	VIGIE_WATCH_BOUNDS = 11
};

/* Upper bounds of durations, in seconds. */
extern const double vigie_watch_bounds[VIGIE_WATCH_BOUNDS];

struct vigie_watch_durations {
	uint64_t counts[VIGIE_WATCH_BOUNDS + 1]; /* one for each bound, and above the last */
	double sum;                              /* seconds */
};

/* What a watcher tells of its requests. */
struct vigie_watch_requests {
	struct {
		long status; /* 0: no response */
		uint64_t count;
	} statuses[VIGIE_WATCH_STATUSES];
	size_t status_count;
	struct vigie_watch_durations lists;  /* from a list's or an initial stream's request to its end */
	struct vigie_watch_durations limits; /* what requests waited for apiserver_qps */
};

/* Starts the watcher's thread: it owns the cluster from here to stop, is registered with RCU and is the only
 * one to publish. Takes over `config` (also on failure). NULL and `error` set when it cannot start; an API
 * server that is away is no failure: it tries for ever. */
struct vigie_watcher;
struct vigie_watcher *vigie_watcher_start(struct vigie_kube_config *config,
					  const struct vigie_watch_options *options,
					  struct vigie_cluster *cluster, struct vigie_error *error);

/* Ends all requests, joins the thread, frees. The cluster is the caller's again. */
void vigie_watcher_stop(struct vigie_watcher *watcher);

/* A consistent copy of a kind's state. Any thread. */
void vigie_watcher_state(struct vigie_watcher *watcher, enum vigie_kind kind,
			 struct vigie_watch_state *state);

/* A consistent copy of its requests' counts. Any thread. */
void vigie_watcher_requests(struct vigie_watcher *watcher, struct vigie_watch_requests *requests);

/* "HOST:PORT" of the API server. Borrowed until stop. */
const char *vigie_watcher_host(const struct vigie_watcher *watcher);

/* Has everything listed anew, past the caches of the API server, and the table brought in step with it. Any
 * thread. */
void vigie_watcher_resync(struct vigie_watcher *watcher);

/* Reads `kubectl get services,endpointslices,namespaces,pods -A -o json` (a List, streamed: never held whole)
 * into a cluster, applies the selectors, sweeps and publishes. The calling thread is the writer. `error`
 * names the file and what is wrong; what was read before it is published, but the kinds do not count as
 * synced. */
enum vigie_status vigie_snapshot_load(const char *path, const struct vigie_watch_options *options,
				      struct vigie_cluster *cluster, struct vigie_error *error);

#endif

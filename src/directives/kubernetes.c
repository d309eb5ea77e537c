#include "chase.h"
#include "directives.h"
#include "guard.h"
#include "kubernetes.h"

#include <ifaddrs.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "vigie/buffer.h"
#include "vigie/keep.h"
#include "vigie/log.h"
#include "vigie/zone.h"

/* The first answers wait for the cluster's list. */
static void wait_for_sync(struct vigie_block *block, const struct kubernetes *kubernetes)
{
	if (block->process->startup_ms < kubernetes->startup_ms)
		block->process->startup_ms = kubernetes->startup_ms;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct kubernetes *kubernetes = NULL;
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!status)
		status = kubernetes_read_options(block, statements[0], &kubernetes, error);
	if (!status)
		status = guard_add_cluster(block, kubernetes->zones.names, kubernetes->zones.count, error);
	if (status)
		return status;
	kubernetes->watch.kinds[VIGIE_KIND_SERVICE] = true;
	kubernetes->watch.kinds[VIGIE_KIND_NAMESPACE] = true;
	kubernetes->watch.kinds[VIGIE_KIND_SLICE] = kubernetes->view.endpoints;
	kubernetes->watch.kinds[VIGIE_KIND_POD] = kubernetes->view.pods == VIGIE_PODS_VERIFIED;
	memcpy(kubernetes->cluster_options.kinds, kubernetes->watch.kinds, sizeof(kubernetes->watch.kinds));
	kubernetes->block = block;
	kubernetes->statement = statements[0];
	if (!kubernetes->watch.warm)
		wait_for_sync(block, kubernetes);
	block->kubernetes = kubernetes;
	*instance = kubernetes;
	return VIGIE_OK;
}

static void map_v4(struct vigie_address *address, const struct in_addr *v4)
{
	memset(address->bytes, 0, 10);
	memset(address->bytes + 10, 0xff, 2);
	memcpy(address->bytes + 12, v4, 4);
}

/* The addresses that clients may know this server by: those it is bound to, else all of the machine but
 * loopback and link-local ones. They say which Service fronts it: the NS of the zone. */
static enum vigie_status find_local(struct vigie_block *block, struct kubernetes *kubernetes,
				    struct vigie_error *error)
{
	struct ifaddrs *interfaces = NULL;
	size_t most = block->address_count;

	if (most == 0 && getifaddrs(&interfaces) == 0) {
		for (const struct ifaddrs *i = interfaces; i; i = i->ifa_next)
			most++;
	}
	kubernetes->local = vigie_arena_alloc(block->arena, (most + 1) * sizeof(*kubernetes->local));
	kubernetes->view.local = kubernetes->local;
	for (size_t i = 0; kubernetes->local && i < block->address_count; i++) {
		if (vigie_address_from_text(&kubernetes->local[kubernetes->view.local_count],
					    block->addresses[i]) == VIGIE_OK)
			kubernetes->view.local_count++;
	}
	for (const struct ifaddrs *i = interfaces; kubernetes->local && i; i = i->ifa_next) {
		struct vigie_address *address = &kubernetes->local[kubernetes->view.local_count];

		if (!i->ifa_addr)
			continue;
		if (i->ifa_addr->sa_family == AF_INET) {
			const struct in_addr *v4 = &((const struct sockaddr_in *)i->ifa_addr)->sin_addr;

			if (ntohl(v4->s_addr) >> 24 == IN_LOOPBACKNET)
				continue;
			map_v4(address, v4);
		} else if (i->ifa_addr->sa_family == AF_INET6) {
			const struct in6_addr *v6 = &((const struct sockaddr_in6 *)i->ifa_addr)->sin6_addr;

			if (IN6_IS_ADDR_LOOPBACK(v6) || IN6_IS_ADDR_LINKLOCAL(v6))
				continue;
			memcpy(address->bytes, v6, sizeof(address->bytes));
		} else {
			continue;
		}
		kubernetes->view.local_count++;
	}
	freeifaddrs(interfaces);
	if (!kubernetes->local)
		return vigie_error_memory(error);
	return VIGIE_OK;
}

/* Who the API server is; the error gets the directive's place. */
static enum vigie_status find_api_server(const struct kubernetes *kubernetes,
					 struct vigie_kube_config *config, struct vigie_error *error)
{
	struct vigie_error reason;
	enum vigie_status status;

	if (kubernetes->kubeconfig)
		status = vigie_kube_config_from_file(config, kubernetes->kubeconfig, kubernetes->context,
						     &reason);
	else if (kubernetes->endpoint)
		status =
			vigie_kube_config_from_endpoint(config, kubernetes->endpoint, kubernetes->certificate,
							kubernetes->key, kubernetes->ca, &reason);
	else
		status = vigie_kube_config_in_cluster(config, NULL, &reason);
	if (status)
		vigie_word_error(error, kubernetes->source, "'%s': %s", kubernetes->source->text,
				 reason.text);
	return status;
}

/* What a reload leaves as it is where what is watched has not changed: the records and who keeps them in
 * sync. Blocks that watch the same share it, too. */
struct kubernetes_shared {
	struct vigie_records *records;
	struct vigie_cluster *cluster;
	struct vigie_watcher *watcher;
	bool is_warm;
	const struct kubernetes *speaker; /* NULL: the next that is asked */
};

static void shared_free(void *object)
{
	struct kubernetes_shared *shared = object;

	if (shared->watcher)
		vigie_watcher_stop(shared->watcher);
	if (shared->cluster)
		vigie_cluster_free(shared->cluster);
	if (shared->records)
		vigie_records_free(shared->records);
	free(shared);
}

static void stop(void *instance)
{
	struct kubernetes *kubernetes = instance;

	kubernetes_signal_stop(kubernetes);
	if (kubernetes->shared && kubernetes->shared->speaker == kubernetes)
		kubernetes->shared->speaker = NULL;
	if (kubernetes->shared)
		vigie_keep_release(kubernetes->block->process->keep, kubernetes->shared);
	kubernetes->shared = NULL;
	kubernetes->watcher = NULL;
	kubernetes->cluster = NULL;
	kubernetes->records = NULL;
}

/* What was known before the restart is served at once. */
static void read_warm(struct kubernetes *kubernetes)
{
	const char *path = kubernetes->watch.warm;
	struct vigie_records_count count;
	struct vigie_error error;

	kubernetes->is_warm =
		vigie_warm_read(path, kubernetes->watch.warm_owner, kubernetes->warm_age_ms / 1000,
				kubernetes->cluster, &error) == VIGIE_OK;
	if (!kubernetes->is_warm) {
		vigie_log(VIGIE_LOG_WARNING, "kubernetes", "%s", error.text);
		return;
	}
	vigie_records_count(kubernetes->records, &count);
	vigie_log(VIGIE_LOG_INFO, "kubernetes",
		  "%" PRIu64 " services and %" PRIu64 " endpoints from the warm file '%s'", count.services,
		  count.endpoints, path);
}

static enum vigie_status start_source(struct kubernetes *kubernetes, struct vigie_error *error)
{
	struct vigie_kube_config config = {0};
	struct vigie_error reason;
	enum vigie_status status;

	if (kubernetes->snapshot) {
		status = vigie_snapshot_load(kubernetes->snapshot, &kubernetes->watch, kubernetes->cluster,
					     &reason);
		if (status)
			vigie_word_error(error, kubernetes->source, "'%s': %s", kubernetes->source->text,
					 reason.text);
		return status;
	}
	status = find_api_server(kubernetes, &config, error);
	if (status)
		return status;
	if (kubernetes->watch.warm) {
		vigie_warm_owner(kubernetes->watch.warm_owner, &config, &kubernetes->watch,
				 &kubernetes->cluster_options);
		read_warm(kubernetes);
	}
	kubernetes->watcher = vigie_watcher_start(&config, &kubernetes->watch, kubernetes->cluster, &reason);
	if (kubernetes->watcher)
		return VIGIE_OK;
	return vigie_word_error(error, kubernetes->source, "'%s': %s", kubernetes->source->text, reason.text);
}

bool kubernetes_speaks(struct kubernetes *kubernetes)
{
	if (!kubernetes->shared->speaker)
		kubernetes->shared->speaker = kubernetes;
	return kubernetes->shared->speaker == kubernetes;
}

/* A snapshot is read again at each reload: that is what the reload is for. */
static bool take_shared(struct kubernetes *kubernetes, const char *key)
{
	struct kubernetes_shared *shared;

	if (kubernetes->snapshot)
		return false;
	shared = vigie_keep_get(kubernetes->block->process->keep, "kubernetes", key);
	if (!shared)
		return false;
	kubernetes->shared = shared;
	kubernetes->records = shared->records;
	kubernetes->cluster = shared->cluster;
	kubernetes->watcher = shared->watcher;
	kubernetes->is_warm = shared->is_warm;
	return true;
}

static enum vigie_status make_shared(struct kubernetes *kubernetes, const char *key,
				     struct vigie_error *error)
{
	struct kubernetes_shared *shared = calloc(1, sizeof(*shared));
	enum vigie_status status;

	if (!shared ||
	    vigie_keep_put(kubernetes->block->process->keep, "kubernetes", key, shared, shared_free)) {
		free(shared);
		return vigie_error_memory(error);
	}
	kubernetes->shared = shared;
	kubernetes->records = shared->records = vigie_records_new();
	if (shared->records)
		shared->cluster = vigie_cluster_new(shared->records, &kubernetes->cluster_options);
	kubernetes->cluster = shared->cluster;
	if (shared->cluster)
		status = start_source(kubernetes, error);
	else
		status = vigie_error_memory(error);
	shared->watcher = kubernetes->watcher;
	shared->is_warm = kubernetes->is_warm;
	if (status)
		stop(kubernetes);
	return status;
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct kubernetes *kubernetes = instance;
	struct vigie_buffer key;
	enum vigie_status status = find_local(block, kubernetes, error);

	if (status)
		return status;
	vigie_buffer_init(&key, VIGIE_COREFILE_MAX);
	status = kubernetes_key(kubernetes, &key);
	if (status)
		vigie_error_set(error, status, "%s", vigie_status_text(status));
	else if (!take_shared(kubernetes, (const char *)key.data))
		status = make_shared(kubernetes, (const char *)key.data, error);
	kubernetes->view.records = kubernetes->records;
	/* Without a warm file the first answers wait for the list after all. */
	if (!status && kubernetes->watch.warm && !kubernetes->is_warm)
		wait_for_sync(block, kubernetes);
	vigie_buffer_fini(&key);
	if (!status && kubernetes_signal_start(kubernetes, block->process->loop))
		status = vigie_error_memory(error);
	if (status)
		stop(kubernetes);
	return status;
}

/* All that has no short way. */
static __attribute__((noinline)) enum vigie_verdict serve_any(const struct kubernetes *kubernetes,
							      struct vigie_request *request)
{
	const struct vigie_query *query = request->query;
	struct vigie_name target;

	if (query->class != VIGIE_CLASS_IN)
		return zones_match(&kubernetes->zones, &query->name) ? vigie_request_refuse_kind(request)
								     : VIGIE_NEXT;
	switch (vigie_records_answer(&kubernetes->view, query, request->rotation, request->answer, &target)) {
	case VIGIE_LOOKUP_OTHER:
		return VIGIE_NEXT;
	case VIGIE_LOOKUP_ANSWERED:
		return VIGIE_ANSWERED;
	case VIGIE_LOOKUP_INTERIOR:
	case VIGIE_LOOKUP_NXDOMAIN:
		if (!fallthrough_holds(&kubernetes->fall, &query->name))
			return VIGIE_ANSWERED;
		vigie_answer_reset(request->answer);
		return VIGIE_NEXT;
	case VIGIE_LOOKUP_UNSYNCED:
		request->trouble = "kubernetes: not synced with the API server yet";
		vigie_answer_explain(request->answer, VIGIE_EDE_NOT_READY, request->trouble);
		return VIGIE_ANSWERED;
	case VIGIE_LOOKUP_REFUSED:
		return vigie_request_refuse_kind(request);
	case VIGIE_LOOKUP_CHASE:
		return vigie_request_lookup(request, &target, query->type, chase_append, NULL);
	}
	return VIGIE_NEXT;
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct kubernetes *kubernetes = instance;

	if (request->query->class == VIGIE_CLASS_IN &&
	    vigie_records_answer_short(&kubernetes->view, request->query, request->answer))
		return VIGIE_ANSWERED;
	return serve_any(kubernetes, request);
}

static bool far(const void *instance)
{
	const struct kubernetes *kubernetes = instance;

	return vigie_records_is_far(kubernetes->records);
}

static void ahead(const void *instance, unsigned step, const struct vigie_query *query, uint64_t *state)
{
	const struct kubernetes *kubernetes = instance;

	vigie_records_ahead(&kubernetes->view, step, query, state);
}

static enum vigie_status add_record(void *argument, const uint8_t *owner, uint16_t type, uint32_t ttl,
				    const uint8_t *rdata, size_t rdlength)
{
	enum vigie_status status = vigie_zone_builder_add(argument, owner, type, ttl, rdata, rdlength);

	return status == VIGIE_ENOENT ? VIGIE_OK : status; /* a name server may be elsewhere */
}

/* The cluster zone as it is at this moment. Reverse zones are not transferred: what they hold depends on what
 * is asked for. */
static enum vigie_status zone(void *instance, const struct vigie_name *origin, struct vigie_zone **out)
{
	const struct kubernetes *kubernetes = instance;
	struct vigie_zone_builder *builder;
	enum vigie_status status = VIGIE_ENOENT;

	for (size_t i = 0; i < kubernetes->view.zone_count && status; i++) {
		if (vigie_name_equal(kubernetes->zones.names[i].bytes, origin->bytes) &&
		    !vigie_name_is_reverse(origin))
			status = VIGIE_OK;
	}
	if (status)
		return status;
	if (!vigie_records_synced(kubernetes->records))
		return VIGIE_ETIMEOUT;
	builder = vigie_zone_builder_new(origin);
	status = builder ? vigie_records_transfer(&kubernetes->view, origin, add_record, builder)
			 : VIGIE_ENOMEM;
	if (status) {
		vigie_zone_builder_free(builder);
		return status;
	}
	*out = vigie_zone_builder_finish(builder, NULL);
	return *out ? VIGIE_OK : VIGIE_ENOMEM;
}

static bool ready(void *instance)
{
	const struct kubernetes *kubernetes = instance;

	return kubernetes->records &&
	       (vigie_records_synced(kubernetes->records) || (kubernetes->is_warm && kubernetes->warm_ready));
}

const struct vigie_directive vigie_directive_kubernetes = {
	.name = "kubernetes",
	.role = VIGIE_ROLE_MEMORY,
	.setup = setup,
	.start = start,
	.stop = stop,
	.serve = serve,
	.far = far,
	.ahead = ahead,
	.metadata = kubernetes_metadata,
	.metrics = kubernetes_metrics,
	.zone = zone,
	.ready = ready,
	.detail = kubernetes_detail,
	.control = kubernetes_control,
};

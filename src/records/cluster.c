/* The writer's side: its life, lists by mark and sweep, deletions. */
#include <stdlib.h>

#include "store.h"

const char *vigie_kind_text(enum vigie_kind kind)
{
	static const char *const text[VIGIE_KINDS] = {
		[VIGIE_KIND_SERVICE] = "services",
		[VIGIE_KIND_SLICE] = "endpointslices",
		[VIGIE_KIND_NAMESPACE] = "namespaces",
		[VIGIE_KIND_POD] = "pods",
	};

	return kind < VIGIE_KINDS ? text[kind] : "unknown";
}

/* Copies the names of namespaces as wire labels. One that is no label matches nothing and is left out, but a
 * list of such names still is a list: it exposes nothing. */
static enum vigie_status copy_namespaces(struct vigie_cluster *cluster,
					 const struct vigie_cluster_options *options)
{
	uint8_t *at;

	cluster->namespace_count = options->namespace_count;
	cluster->namespaces = calloc(options->namespace_count + 1, 1 + VIGIE_LABEL_MAX);
	if (!cluster->namespaces)
		return VIGIE_ENOMEM;
	at = cluster->namespaces;
	for (size_t i = 0; i < options->namespace_count; i++)
		at += vigie_store_label(at, options->namespaces[i]);
	return VIGIE_OK;
}

struct vigie_cluster *vigie_cluster_new(struct vigie_records *records,
					const struct vigie_cluster_options *options)
{
	struct vigie_cluster *cluster = calloc(1, sizeof(*cluster));

	if (!cluster)
		return NULL;
	cluster->records = records;
	cluster->endpoint_pod_names = options->endpoint_pod_names;
	memcpy(cluster->kinds, options->kinds, sizeof(cluster->kinds));
	CDS_INIT_LIST_HEAD(&cluster->dirty);
	if (copy_namespaces(cluster, options) != VIGIE_OK) {
		vigie_cluster_free(cluster);
		return NULL;
	}
	return cluster;
}

/* A table of the writer's own, which no reader looks at. */
static void free_all(struct vigie_records *records, struct slots *table, enum vigie_bytes bytes)
{
	void *piece;

	for (uint32_t at = 0; (piece = slots_each(table, &at)) != NULL;)
		vigie_piece_free(records, bytes, piece);
	vigie_piece_free(records, bytes, table);
}

void vigie_cluster_free(struct vigie_cluster *cluster)
{
	struct entry *entry;

	if (!cluster)
		return;
	free_all(cluster->records, cluster->slices, VIGIE_BYTES_SLICES);
	free_all(cluster->records, cluster->pods, VIGIE_BYTES_PODS);
	for (uint32_t at = 0; (entry = slots_each(cluster->records->services, &at)) != NULL;) {
		if (!entry->holding)
			continue;
		vigie_piece_free(cluster->records, VIGIE_BYTES_SERVICES, entry->holding->service);
		vigie_piece_free(cluster->records, VIGIE_BYTES_SERVICES, entry->holding);
		entry->holding = NULL;
	}
	vigie_table_reclaim(cluster->records);
	free(cluster->namespaces);
	free(cluster);
}

void vigie_cluster_rest(struct vigie_cluster *cluster)
{
	if (!vigie_table_is_held(cluster->records))
		vigie_table_reclaim(cluster->records);
}

void vigie_cluster_delete(struct vigie_cluster *cluster, enum vigie_kind kind, const char *namespace,
			  const char *name)
{
	switch (kind) {
	case VIGIE_KIND_SERVICE:
		vigie_store_delete_service(cluster, namespace, name);
		break;
	case VIGIE_KIND_SLICE:
		vigie_store_delete_slice(cluster, namespace, name);
		break;
	case VIGIE_KIND_NAMESPACE:
		vigie_store_delete_namespace(cluster, name);
		break;
	case VIGIE_KIND_POD:
		vigie_store_delete_pod(cluster, namespace, name);
		break;
	case VIGIE_KINDS:
		break;
	}
}

void vigie_cluster_mark(struct vigie_cluster *cluster, enum vigie_kind kind)
{
	cluster->generation[kind]++;
}

void vigie_cluster_sweep(struct vigie_cluster *cluster, enum vigie_kind kind)
{
	switch (kind) {
	case VIGIE_KIND_SERVICE:
		vigie_store_sweep_services(cluster);
		break;
	case VIGIE_KIND_SLICE:
		vigie_store_sweep_slices(cluster);
		break;
	case VIGIE_KIND_NAMESPACE:
		vigie_store_sweep_namespaces(cluster);
		break;
	case VIGIE_KIND_POD:
		vigie_store_sweep_pods(cluster);
		break;
	case VIGIE_KINDS:
		return;
	}
	cluster->swept[kind] = true;
}

/* The writer's side of the record table: the cluster as last seen. A watcher, or the reader of a snapshot,
 * feeds objects in; each change compiles one immutable blob for one service and publishes it (records.h reads
 * it). One writer thread, registered with RCU.
 *
 * A relist is mark and sweep: vigie_cluster_mark, every object of the list (unchanged ones cost a
 * comparison), vigie_cluster_sweep. There is never a second table, and readers never see an object missing
 * that exists throughout. */
#ifndef VIGIE_CLUSTER_H
#define VIGIE_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/status.h"

struct vigie_records;
struct vigie_cluster;

/* An IP address, v4 as a v4-mapped v6 address (::ffff:a.b.c.d), network byte order. */
struct vigie_address {
	uint8_t bytes[16];
};

/* Text to address, strictly: no leading zeros, no zone id. VIGIE_EINVAL otherwise. */
enum vigie_status vigie_address_from_text(struct vigie_address *address, const char *text);
bool vigie_address_is_v4(const struct vigie_address *address);

/* The objects as the API gives them, reduced to what DNS needs. All text is borrowed for the call, may be
 * upper case, and is NULL or "" where the API leaves it out. */

struct vigie_port {
	const char *name;     /* NULL or "": unnamed, no SRV _name._proto */
	const char *protocol; /* "TCP", "UDP", "SCTP"; NULL is TCP */
	uint16_t number;      /* host byte order */
	bool has_number;      /* false: "all ports" of a slice; no SRV */
};

enum vigie_service_type {
	VIGIE_SERVICE_CLUSTER_IP, /* ClusterIP, NodePort, LoadBalancer: with an address, headless, or not
				     allocated yet */
	VIGIE_SERVICE_EXTERNAL_NAME
};

struct vigie_service {
	const char *namespace;
	const char *name;
	enum vigie_service_type type;      /* decided by spec.type alone */
	bool headless;                     /* clusterIP or a clusterIPs entry is "None" */
	struct vigie_address addresses[2]; /* clusterIPs, else clusterIP; at most one a family */
	size_t address_count;              /* 0 and not headless: not allocated yet, treated as absent */
	const char *external_name;         /* for VIGIE_SERVICE_EXTERNAL_NAME */
	const struct vigie_port *ports;
	size_t port_count;
};

struct vigie_endpoint {
	struct vigie_address address;
	const char *hostname; /* endpoints[].hostname */
	const char *pod;      /* targetRef.name when its kind is Pod or unset */
	const char *zone;     /* topology zone, for zonal names */
	bool ready;           /* conditions.ready; nil is true */
};

struct vigie_slice {
	const char *namespace;
	const char *name;
	const char *service; /* label kubernetes.io/service-name; a slice without it is not for DNS */
	const struct vigie_port *ports;
	size_t port_count;
	const struct vigie_endpoint *endpoints;
	size_t endpoint_count;
	double triggered; /* seconds since 1970 when the change began that made the slice; 0: not known */
};

struct vigie_pod {
	const char *namespace;
	const char *name;
	const struct vigie_address *addresses; /* status.podIPs */
	size_t address_count;
};

enum vigie_kind { VIGIE_KIND_SERVICE, VIGIE_KIND_SLICE, VIGIE_KIND_NAMESPACE, VIGIE_KIND_POD, VIGIE_KINDS };

/* "services", "endpointslices", "namespaces", "pods". Static storage. */
const char *vigie_kind_text(enum vigie_kind kind);

struct vigie_cluster_options {
	bool endpoint_pod_names;       /* name endpoints by their pod where they have no hostname */
	const char *const *namespaces; /* the only ones to expose; copied */
	size_t namespace_count;        /* 0: all */
	bool kinds[VIGIE_KINDS];       /* what will be fed: the table is synced when each of them is */
};

/* A cluster that publishes into `records` (borrowed, must outlive it). NULL when memory is out. */
struct vigie_cluster *vigie_cluster_new(struct vigie_records *records,
					const struct vigie_cluster_options *options);

/* Forgets the writer's state. What is published stays until the records are freed. */
void vigie_cluster_free(struct vigie_cluster *cluster);

/* ADDED and MODIFIED alike. An object that says nothing new is only marked as seen. A
 * malformed one (a name that is no DNS label, say) is VIGIE_EINVAL, skipped and counted; nothing else
 * changes. */
enum vigie_status vigie_cluster_put_service(struct vigie_cluster *cluster,
					    const struct vigie_service *service);
enum vigie_status vigie_cluster_put_slice(struct vigie_cluster *cluster, const struct vigie_slice *slice);
enum vigie_status vigie_cluster_put_pod(struct vigie_cluster *cluster, const struct vigie_pod *pod);
enum vigie_status vigie_cluster_put_namespace(struct vigie_cluster *cluster, const char *name);

/* DELETED; an unknown object is no error. */
void vigie_cluster_delete(struct vigie_cluster *cluster, enum vigie_kind kind, const char *namespace,
			  const char *name);

/* A list begins: what is not put again before the sweep is gone. A list that breaks is simply not swept. */
void vigie_cluster_mark(struct vigie_cluster *cluster, enum vigie_kind kind);

/* A list is complete: deletes what was not seen since the mark, and counts the kind as synced. */
void vigie_cluster_sweep(struct vigie_cluster *cluster, enum vigie_kind kind);

/* Publishes what changed since the last call: one new blob for each service concerned. Call it after each
 * batch of events; putting alone shows nothing to readers. Sets the SOA serial when anything changed. Returns
 * the milliseconds after which it wants to be called again for what it put off (very large services in a
 * burst of changes), 0 when it put off nothing. */
uint64_t vigie_cluster_publish(struct vigie_cluster *cluster);

/* Nothing more comes for now: frees what readers may have looked at, when they have passed on. Publication
 * itself lets no more than 64 KiB of that wait. */
void vigie_cluster_rest(struct vigie_cluster *cluster);

/* How often a publication changed anything. */
uint64_t vigie_cluster_changes(const struct vigie_cluster *cluster);

union vigie_object {
	struct vigie_service service;
	struct vigie_slice slice;
	struct vigie_pod pod;
	const char *namespace;
};

/* An object that the cluster holds, reduced to what DNS shows of it: putting it again changes nothing.
 * Borrowed for the call. False ends the visit. */
typedef bool vigie_cluster_visitor(void *argument, enum vigie_kind kind, const union vigie_object *object);

/* Shows all objects, namespaces first. The calling thread is the writer, and online for RCU. VIGIE_ENOMEM,
 * also when the visitor ended it. */
enum vigie_status vigie_cluster_visit(struct vigie_cluster *cluster, vigie_cluster_visitor *visitor,
				      void *argument);

#endif

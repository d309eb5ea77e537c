/* The record table: what the cluster's names are, for many readers at once. Reading takes no lock and no
 * allocation: readers are RCU (liburcu, QSBR) and must be online. The only writer is a cluster (cluster.h).
 *
 * Source of the names: Kubernetes DNS-Based Service Discovery 1.1.0. */
#ifndef VIGIE_RECORDS_H
#define VIGIE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vigie/answer.h"
#include "vigie/cluster.h"
#include "vigie/name.h"

/* NULL when memory is out. Frees everything published, after a grace period; no reader may be left. */
struct vigie_records *vigie_records_new(void);
void vigie_records_free(struct vigie_records *records);

/* Whether every kind that feeds the table has been listed once. Never goes back to false. */
bool vigie_records_synced(const struct vigie_records *records);

struct vigie_records_count {
	uint64_t services;
	uint64_t endpoints;
	uint64_t namespaces;
	uint64_t pods;
};
void vigie_records_count(const struct vigie_records *records, struct vigie_records_count *count);

/* What the memory of the table and of its writer is for. */
enum vigie_bytes {
	VIGIE_BYTES_ANSWERS,   /* blobs that readers answer from */
	VIGIE_BYTES_SERVICES,  /* Services, and their places in the table */
	VIGIE_BYTES_SLICES,    /* EndpointSlices as the writer keeps them */
	VIGIE_BYTES_ADDRESSES, /* which services have an address */
	VIGIE_BYTES_NAMESPACES,
	VIGIE_BYTES_PODS,
	VIGIE_BYTES_RETIRED, /* taken out, and waiting for the last reader to leave */
	VIGIE_BYTES
};

/* "answers", "services", …: static storage. */
const char *vigie_bytes_text(enum vigie_bytes bytes);

/* Bytes in use, as the allocator counts them, its own overhead included. Any thread. */
void vigie_records_bytes(const struct vigie_records *records, uint64_t bytes[VIGIE_BYTES]);

enum { VIGIE_PROGRAMMING_BOUNDS = 20 };

/* How long changes of headless services took from their cause (the annotation
 * endpoints.kubernetes.io/last-change-trigger-time of a slice) to their publication. Seconds. */
struct vigie_programming {
	uint64_t counts[VIGIE_PROGRAMMING_BOUNDS + 1];
	double sum;
};

/* 0.001, 0.002, 0.004, …: upper bounds in seconds. */
extern const double vigie_programming_bounds[VIGIE_PROGRAMMING_BOUNDS];

/* Any thread. */
void vigie_records_programming(const struct vigie_records *records, struct vigie_programming *programming);

/* The namespace of the pods that have an address (v4 mapped): its wire label is copied to `label`, which
 * holds 1 + VIGIE_LABEL_MAX bytes. VIGIE_ENOENT: none has it, or pods are not watched. VIGIE_EEXIST: pods of
 * several namespaces do, as those on the host's network. Readers only. */
enum vigie_status vigie_records_pod_namespace(const struct vigie_records *records, const uint8_t *address,
					      uint8_t *label);

enum vigie_pods { VIGIE_PODS_DISABLED, VIGIE_PODS_INSECURE, VIGIE_PODS_VERIFIED };

/* How one `kubernetes` directive shows the table: its zones and options. Immutable once it serves. */
struct vigie_view {
	const struct vigie_records *records; /* borrowed */
	const struct vigie_name *zones; /* borrowed: cluster domains and reverse zones, the longest first */
	size_t zone_count;
	size_t primary; /* the zone, not a reverse one, that PTR records point into */
	uint32_t ttl;   /* seconds, 0 to 3600 */
	enum vigie_pods pods;
	bool endpoints;                    /* false: `noendpoints`, no headless service or endpoint exists */
	bool ignore_empty_service;         /* a ClusterIP service without ready endpoints does not exist */
	bool zonal;                        /* TOPOZONE.pin|prefer._zone.SERVICE.NAMESPACE.svc.ZONE */
	const struct vigie_address *local; /* borrowed: this server's own addresses, for NS; may be none */
	size_t local_count;
	struct vigie_name services; /* by vigie_view_plan: svc.ZONE of the primary zone; `length` 0: none */
};

/* Readies a view whose zones are settled for the short way (below), which takes the primary zone's services.
 * There is none while a zone of the view stands inside of svc.ZONE. */
void vigie_view_plan(struct vigie_view *view);

enum vigie_lookup {
	VIGIE_LOOKUP_OTHER,    /* the name is in none of the view's zones: nothing was written */
	VIGIE_LOOKUP_ANSWERED, /* the answer holds records, or is NODATA with the SOA */
	VIGIE_LOOKUP_INTERIOR, /* NODATA with the SOA, at a node of a reverse zone above whole addresses; the
				* directive may fall through instead, as for NXDOMAIN */
	VIGIE_LOOKUP_NXDOMAIN, /* the answer is NXDOMAIN with the SOA; the directive may fall through instead
				*/
	VIGIE_LOOKUP_UNSYNCED, /* not found, and the table is not complete yet: SERVFAIL with the SOA */
	VIGIE_LOOKUP_REFUSED,  /* a zone transfer: REFUSED */
	VIGIE_LOOKUP_CHASE /* the answer holds the CNAMEs so far; their end is outside of the view's zones */
};

/* Answers a query of class IN. `rotation` chooses where a set of addresses begins (0: in table order). For
 * VIGIE_LOOKUP_CHASE the last target is copied to `target` (folded), so that the caller can look the query's
 * type up there and append it. A chain of CNAMEs within the zones is followed for at most 10 links and never
 * in a circle. */
enum vigie_lookup vigie_records_answer(const struct vigie_view *view, const struct vigie_query *query,
				       uint32_t rotation, struct vigie_answer *answer,
				       struct vigie_name *target);

/* The short way for what is asked most, of a view that was planned: whether it has answered. It says what
 * vigie_records_answer says, or nothing. */
bool vigie_records_answer_short(const struct vigie_view *view, const struct vigie_query *query,
				struct vigie_answer *answer);

/* Whether the table is larger than what the CPU's caches hold. */
bool vigie_records_is_far(const struct vigie_records *records);

/* Looks ahead at a query for a service: see struct vigie_directive. The steps fetch its slot, its entry and
 * its record. Readers only, all steps within one time online. */
void vigie_records_ahead(const struct vigie_view *view, unsigned step, const struct vigie_query *query,
			 uint64_t *state);

/* Told of one record of a zone: an uncompressed wire name, RDATA with uncompressed names. Anything but
 * VIGIE_OK ends the walk. */
typedef enum vigie_status vigie_records_visit(void *argument, const uint8_t *owner, uint16_t type,
					      uint32_t ttl, const uint8_t *rdata, size_t rdlength);

/* Visits the records of a cluster zone of the view (not a reverse one) that a transfer gives, the SOA first:
 * those of one state of the table, whatever is published meanwhile. For a thread that is registered with RCU
 * and serves nobody: it holds the writer up while it takes hold of the services, and grace periods until it
 * returns, which is a quiescent state; the writer goes on meanwhile, until a quarter of the table waits for
 * that. Returns what `visit` did, or VIGIE_ENOMEM. */
enum vigie_status vigie_records_transfer(const struct vigie_view *view, const struct vigie_name *zone,
					 vigie_records_visit *visit, void *argument);

#endif

/* The writer's copy of the cluster, packed: what a service's blob is compiled from whenever one of its parts
 * changes. */
#ifndef STORE_H
#define STORE_H

#include <urcu/list.h>

#include "table.h"

enum service_kind {
	SERVICE_ABSENT, /* no address yet, or an external name that is an address: DNS does not know it */
	SERVICE_CLUSTER_IP,
	SERVICE_HEADLESS,
	SERVICE_EXTERNAL
};

/* Objects say the same when they are the same bytes from SAME on: what comes before is the writer's own.
 * Contents are compared, not resourceVersions: these come again after etcd was restored from a backup. */

/* A Service object. */
struct service {
	uint32_t seen; /* the generation of the last list or event that had it */
	uint8_t kind;
	bool has_v4;
	bool has_v6;
	uint8_t v4[4];
	uint8_t v6[16];
	uint32_t port_count;
	uint32_t ports_length;
	uint32_t target_length; /* 0: no external name, or a malformed one */
	uint8_t data[];         /* packed ports, then the external name in wire form */
};

/* A packed endpoint: a set of these bits, the zone as an index into the slice's zones (0: none; two bytes), 4
 * or 16 bytes of address, and the label when it has one of its own. */
enum { ENDPOINT_V6 = 1, ENDPOINT_NAMED = 2 };

enum { SERVICE_SAME = offsetof(struct service, kind) };

static inline size_t service_size(const struct service *service)
{
	return sizeof(*service) + service->ports_length + service->target_length;
}

/* The part of an EndpointSlice object that DNS shows: its ready endpoints. */
struct slice {
	struct cds_list_head list; /* of the holding */
	struct entry *entry;
	uint32_t seen;
	uint32_t endpoint_count;
	uint32_t port_count;
	uint32_t ports_length;
	uint32_t zone_count;
	uint32_t zones_length; /* zones: a length byte, then that many bytes of wire labels */
	uint32_t endpoints_length;
	uint16_t key_length;
	uint8_t data[]; /* packed ports, zones, packed endpoints, then the key "NAMESPACE/NAME" */
};

enum { SLICE_SAME = offsetof(struct slice, endpoint_count) };

static inline size_t slice_size(const struct slice *slice)
{
	return sizeof(*slice) + slice->ports_length + slice->zones_length + slice->endpoints_length +
	       slice->key_length;
}

static inline const uint8_t *slice_zones(const struct slice *slice)
{
	return slice->data + slice->ports_length;
}

static inline const uint8_t *slice_endpoints(const struct slice *slice)
{
	return slice_zones(slice) + slice->zones_length;
}

static inline const uint8_t *slice_key(const void *piece, size_t *length)
{
	const struct slice *slice = piece;

	*length = slice->key_length;
	return slice_endpoints(slice) + slice->endpoints_length;
}

/* A Pod object, for `pods verified`. */
struct pod {
	struct space *space;
	uint32_t seen;
	uint32_t address_count;
	uint16_t key_length;
	uint8_t data[]; /* 16 bytes for each address, then the key "NAMESPACE/NAME" */
};

enum { POD_SAME = offsetof(struct pod, address_count) };

static inline size_t pod_size(const struct pod *pod)
{
	return sizeof(*pod) + 16 * (size_t)pod->address_count + pod->key_length;
}

static inline const uint8_t *pod_key(const void *piece, size_t *length)
{
	const struct pod *pod = piece;

	*length = pod->key_length;
	return pod->data + 16 * (size_t)pod->address_count;
}

/* Whether two objects of these sizes are the same bytes from `same` on. */
static inline bool store_is_same(const void *a, size_t a_size, const void *b, size_t b_size, size_t same)
{
	return a_size == b_size &&
	       memcmp((const uint8_t *)a + same, (const uint8_t *)b + same, a_size - same) == 0;
}

/* What the writer holds of one service. */
struct holding {
	struct entry *entry;
	struct service *service; /* NULL: unknown, or deleted */
	struct cds_list_head slices;
	struct cds_list_head dirty; /* of the cluster, while a change waits for publication */
	bool is_dirty;
	double triggered; /* the earliest cause of what waits for publication; 0: none is known */
	uint64_t due_ms;  /* a large service rests until then; 0: it is small */
};

struct vigie_cluster {
	struct vigie_records *records;
	struct slots *slices; /* by their keys, as the next */
	struct slots *pods;
	bool endpoint_pod_names;
	bool kinds[VIGIE_KINDS];
	bool swept[VIGIE_KINDS]; /* a list of it was complete once */
	uint32_t generation[VIGIE_KINDS];
	struct cds_list_head dirty; /* holdings */
	bool changed;               /* since the last publication, apart from services */
	uint64_t changes;           /* publications that changed anything */
	uint8_t *namespaces;        /* wire labels of those to expose; NULL: all */
	size_t namespace_count;
};

/* Reads a DNS label (RFC 1123: letters, digits and inner '-') into wire form, folded. Returns its length with
 * the length byte; 0 when it is none. */
size_t vigie_store_label(uint8_t *wire, const char *text);

/* The key of slices and pods. Returns its length; 0 when it is no key. */
enum {
	OBJECT_KEY_MAX = 253 + 1 + 253 /* bytes: two Kubernetes names and a '/' */
};
size_t vigie_store_key(uint8_t key[OBJECT_KEY_MAX], const char *namespace, const char *name);

/* Bytes that packed ports take, and packing them. */
size_t vigie_store_ports_size(const struct vigie_port *ports, size_t count);
void vigie_store_pack_ports(uint8_t *out, const struct vigie_port *ports, size_t count);

/* The namespace of a label, made when there is none; NULL when memory is out. The caller counts itself in
 * `users`. */
struct space *vigie_store_space(struct vigie_cluster *cluster, const uint8_t *label);
/* Forgets a namespace that is neither present nor used. */
void vigie_store_drop_space(struct vigie_cluster *cluster, struct space *space);

/* The entry of two wire labels, made when there is none; NULL when memory is out. */
struct entry *vigie_store_entry(struct vigie_cluster *cluster, const uint8_t *key, size_t service_length,
				size_t length);

/* Has the entry's blob compiled by the next publication. */
void vigie_store_touch(struct vigie_cluster *cluster, struct entry *entry);

/* Deletes an object; an unknown one is no error. */
void vigie_store_delete_service(struct vigie_cluster *cluster, const char *namespace, const char *name);
void vigie_store_delete_slice(struct vigie_cluster *cluster, const char *namespace, const char *name);
void vigie_store_delete_namespace(struct vigie_cluster *cluster, const char *name);
void vigie_store_delete_pod(struct vigie_cluster *cluster, const char *namespace, const char *name);

/* Deletes the objects that are not of the current generation. */
void vigie_store_sweep_services(struct vigie_cluster *cluster);
void vigie_store_sweep_slices(struct vigie_cluster *cluster);
void vigie_store_sweep_namespaces(struct vigie_cluster *cluster);
void vigie_store_sweep_pods(struct vigie_cluster *cluster);

/* Compiles what is held of a service. `*blob` is NULL when the service does not exist for DNS. VIGIE_ENOMEM.
 */
enum vigie_status vigie_blob_build(struct vigie_records *records, const struct holding *holding,
				   struct blob **blob);

#endif

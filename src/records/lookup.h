/* One look-up on its way: what is asked, of which zone, and where the answer goes. */
#ifndef LOOKUP_H
#define LOOKUP_H

#include "table.h"
#include "vigie/bytes.h"

struct lookup {
	const struct vigie_view *view;
	const struct vigie_name *name; /* as asked, or the link of a chain that the look-up has come to */
	const struct vigie_name *zone; /* the view's zone that the name is in */
	unsigned labels;               /* of the name, left of the zone */
	uint16_t type;
	uint16_t owner; /* offset of the name in the answer */
	uint32_t rotation;
	struct vigie_answer *answer;
	const struct entry *entry; /* of an external name that OUTCOME_CNAME tells of */
	const struct blob *blob;
};

enum outcome {
	OUTCOME_RECORDS,  /* they are written */
	OUTCOME_NODATA,   /* the name exists */
	OUTCOME_INTERIOR, /* the same for a node of a reverse zone that is no address */
	OUTCOME_NXDOMAIN,
	OUTCOME_CNAME /* the record is not written yet */
};

enum {
	RR_FIXED = 2 + 10 /* bytes of a record before its RDATA when the owner is a pointer */
};

/* The name's label with that index, as a wire label. */
static inline const uint8_t *lookup_label(const struct lookup *lookup, unsigned index)
{
	return lookup->name->bytes + lookup->name->offset[index];
}

/* Whether a wire label is the given one; `text` is a literal such as "\3svc". */
#define label_is(label, text) (memcmp((label), (text), sizeof(text) - 1) == 0)

/* The offset in the answer of the name's part that begins with that label. */
static inline uint16_t lookup_owner(const struct lookup *lookup, unsigned index)
{
	return (uint16_t)(lookup->owner + lookup->name->offset[index]);
}

/* Writes the zone's SOA record. */
void vigie_answer_soa(const struct lookup *lookup, enum vigie_section section);

/* Writes one address record; false when it does not fit. */
bool vigie_answer_address(const struct lookup *lookup, enum vigie_section section, uint16_t owner,
			  const uint8_t *address);

/* Spells [LABEL.]SERVICE.NAMESPACE.svc.ZONE; `label` may be NULL. Returns its length, 0 when no name is that
 * long. */
size_t vigie_lookup_spell(uint8_t name[VIGIE_NAME_MAX], const uint8_t *label, const struct entry *entry,
			  const struct vigie_name *zone);

/* Each answers for its part of the name space. */
enum outcome vigie_answer_apex(struct lookup *lookup);
enum outcome vigie_answer_ns_address(struct lookup *lookup);
enum outcome vigie_answer_reverse(struct lookup *lookup);
enum outcome vigie_answer_service(struct lookup *lookup);
enum outcome vigie_answer_pod(struct lookup *lookup);

/* For a name of the service that `blob` tells of; `service` labels stand left of the service's own. */
enum outcome vigie_answer_blob(struct lookup *lookup, const struct entry *entry, const struct blob *blob,
			       unsigned service);

/* SRV records: which ports of which rows. */
struct selection {
	const uint8_t *port; /* the port's name, without length and underscore; NULL: any port */
	size_t port_length;
	enum protocol protocol;
	uint32_t zone;  /* as row_zone gives it; 0: any */
	uint32_t first; /* rows [first, end) */
	uint32_t end;
};

bool vigie_selection_has_port(const struct selection *selection, const uint8_t *port);

/* Writes the SRV records of the selected rows, and their targets' addresses as additional ones. `service` is
 * the index of the service's label in the name. */
void vigie_answer_srv(const struct lookup *lookup, const struct blob *blob, const struct selection *selection,
		      unsigned service);

/* The same for the ports of the service itself, whose addresses are the cluster's. */
void vigie_answer_cluster_srv(const struct lookup *lookup, const struct blob *blob,
			      const struct selection *selection, unsigned service);

#endif

/* Looking at all that a record table holds: for people, not for queries. */
#ifndef VIGIE_RECORDS_WALK_H
#define VIGIE_RECORDS_WALK_H

#include "vigie/name.h"
#include "vigie/records.h"

struct blob;

/* One service as it is served; valid during the call. */
struct vigie_shown_service {
	char namespace[VIGIE_LABEL_MAX + 1];
	char name[VIGIE_LABEL_MAX + 1];
	const char *kind; /* "ClusterIP", "headless", "ExternalName" */
	bool exposed; /* false: its namespace is missing, or the configuration hides it: no query finds it */
	struct vigie_address addresses[2];
	size_t address_count;
	char target[VIGIE_NAME_TEXT_MAX]; /* of an ExternalName */
	size_t endpoint_count;
	const struct blob *blob; /* what vigie_shown_endpoint reads */
};

typedef void vigie_records_show(void *argument, const struct vigie_shown_service *service);

/* Calls `show` for each service of a namespace and name; NULL stands for all. The thread must be online for
 * RCU. */
void vigie_records_walk(const struct vigie_records *records, const char *namespace, const char *name,
			vigie_records_show *show, void *argument);

struct vigie_shown_endpoint {
	char name[VIGIE_LABEL_MAX + 1]; /* the label that it has below its service */
	struct vigie_address address;
};

/* Endpoint number `index` of a service, within `show`. */
void vigie_shown_endpoint(const struct vigie_shown_service *service, size_t index,
			  struct vigie_shown_endpoint *endpoint);

#endif

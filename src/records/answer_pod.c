/* ADDRESS.NAMESPACE.pod.ZONE, which the specification dropped and everybody still has. */
#include "lookup.h"

/* The labels left of a pod's name that CoreDNS passes over: one as if it were an endpoint's, two as if they
 * were a port's. */
enum { POD_PREFIX_MAX = 2 };

enum outcome vigie_answer_pod(struct lookup *lookup)
{
	const struct vigie_records *records = lookup->view->records;
	unsigned left = lookup->labels - 1; /* of "pod" */
	const struct space *space;
	uint8_t address[16];

	if (left == 0)
		return OUTCOME_NODATA;
	if (lookup->view->pods == VIGIE_PODS_DISABLED || left > 2 + POD_PREFIX_MAX)
		return OUTCOME_NXDOMAIN;
	space = vigie_table_find_space(records, lookup_label(lookup, left - 1));
	if (!space || !space_exposed(space))
		return OUTCOME_NXDOMAIN;
	if (left == 1)
		return OUTCOME_NODATA;
	if (!vigie_address_from_pod_label(address, lookup_label(lookup, left - 2)))
		return OUTCOME_NXDOMAIN;
	if (lookup->view->pods == VIGIE_PODS_VERIFIED && !vigie_table_find_pod(records, space, address))
		return OUTCOME_NXDOMAIN;
	if (lookup->type != (address_is_v4(address) ? VIGIE_TYPE_A : VIGIE_TYPE_AAAA))
		return OUTCOME_NODATA;
	vigie_answer_address(lookup, VIGIE_ANSWER, lookup->owner, address);
	return OUTCOME_RECORDS;
}

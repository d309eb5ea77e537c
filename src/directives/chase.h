/* The end of a CNAME that leads elsewhere. */
#ifndef VIGIE_DIRECTIVES_CHASE_H
#define VIGIE_DIRECTIVES_CHASE_H

#include "vigie/request.h"

/* For vigie_request_lookup, when the CNAMEs are written: what their end is comes from whoever serves it. A
 * failure there leaves the CNAMEs, with which the client can go on itself. */
vigie_lookup_done chase_append;

#endif

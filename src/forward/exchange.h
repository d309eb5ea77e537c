/* What tests set and see of an exchanger. */
#ifndef VIGIE_FORWARD_EXCHANGE_H
#define VIGIE_FORWARD_EXCHANGE_H

#include "vigie/forward.h"

/* Other times than VIGIE_EXCHANGE_TRY_MS and VIGIE_EXCHANGE_TOTAL_MS. */
void exchanger_set_times(struct vigie_exchanger *exchanger, uint64_t try_ms, uint64_t total_ms);

#endif

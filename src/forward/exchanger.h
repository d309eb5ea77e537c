/* What tests see of an exchanger. */
#ifndef VIGIE_FORWARD_EXCHANGER_H
#define VIGIE_FORWARD_EXCHANGER_H

#include "vigie/forward.h"

/* Exchanges that it runs, and questions that wait in it. */
size_t exchanger_running(const struct vigie_exchanger *exchanger);
size_t exchanger_waiting(const struct vigie_exchanger *exchanger);

#endif

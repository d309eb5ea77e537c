#include "requests.h"

const double vigie_watch_bounds[VIGIE_WATCH_BOUNDS] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
						       0.5,   1,    2.5,   5,    10};

void requests_count(struct vigie_watch_requests *requests, long status)
{
	size_t i = 0;

	while (i < requests->status_count && requests->statuses[i].status != status)
		i++;
	/* The last place is for all that have none of their own. */
	if (i == VIGIE_WATCH_STATUSES)
		i--;
	else if (i == requests->status_count)
		requests->statuses[requests->status_count++].status = status;
	requests->statuses[i].count++;
}

void requests_time(struct vigie_watch_durations *durations, uint64_t ms)
{
	double seconds = (double)ms / 1000;
	size_t i = 0;

	while (i < VIGIE_WATCH_BOUNDS && seconds > vigie_watch_bounds[i])
		i++;
	durations->counts[i]++;
	durations->sum += seconds;
}

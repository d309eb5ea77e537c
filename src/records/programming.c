#include "programming.h"

#include "store.h"
#include "vigie/clock.h"

const double vigie_programming_bounds[VIGIE_PROGRAMMING_BOUNDS] = {
	0.001, 0.002, 0.004, 0.008, 0.016,  0.032,  0.064,  0.128,   0.256,   0.512,
	1.024, 2.048, 4.096, 8.192, 16.384, 32.768, 65.536, 131.072, 262.144, 524.288};

void vigie_programming_count(struct vigie_records *records, struct holding *holding)
{
	double seconds = vigie_clock_wall_precise() - holding->triggered;
	size_t i = 0;

	if (holding->triggered > 0 && holding->service && holding->service->kind == SERVICE_HEADLESS) {
		double sum;

		if (seconds < 0)
			seconds = 0; /* the clocks differ */
		while (i < VIGIE_PROGRAMMING_BOUNDS && seconds > vigie_programming_bounds[i])
			i++;
		__atomic_fetch_add(&records->programming[i], 1, __ATOMIC_RELAXED);
		sum = records->programming_sum + seconds;
		__atomic_store(&records->programming_sum, &sum, __ATOMIC_RELAXED);
	}
	holding->triggered = 0;
}

void vigie_records_programming(const struct vigie_records *records, struct vigie_programming *programming)
{
	for (size_t i = 0; i <= VIGIE_PROGRAMMING_BOUNDS; i++)
		programming->counts[i] = __atomic_load_n(&records->programming[i], __ATOMIC_RELAXED);
	__atomic_load(&records->programming_sum, &programming->sum, __ATOMIC_RELAXED);
}

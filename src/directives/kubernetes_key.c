/* What two `kubernetes` directives must have in common to share one watch and one table: everything that says
 * what is watched, where and how. Zones, TTL and other options of answering do not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kubernetes.h"
#include "vigie/buffer.h"

enum vigie_status kubernetes_key(const struct kubernetes *kubernetes, struct vigie_buffer *key)
{
	const struct vigie_watch_options *watch = &kubernetes->watch;
	const struct vigie_cluster_options *options = &kubernetes->cluster_options;
	const char *const texts[] = {
		kubernetes->snapshot, kubernetes->endpoint, kubernetes->certificate,
		kubernetes->key,      kubernetes->ca,       kubernetes->kubeconfig,
		kubernetes->context,  watch->selector,      watch->namespace_selector,
		watch->warm,
	};
	enum vigie_status status;
	char numbers[256];
	int length =
		snprintf(numbers, sizeof(numbers), "%d%d%d%d %d %g %u %u %llu %llu", watch->kinds[0],
			 watch->kinds[1], watch->kinds[2], watch->kinds[3], options->endpoint_pod_names,
			 watch->qps, watch->burst, watch->max_inflight, (unsigned long long)watch->silence_ms,
			 (unsigned long long)kubernetes->warm_age_ms);

	status = vigie_buffer_append(key, numbers, (size_t)length);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts) && !status; i++) {
		status = vigie_buffer_append(key, texts[i] ? "\n=" : "\n-", 2);
		if (!status && texts[i])
			status = vigie_buffer_append(key, texts[i], strlen(texts[i]));
	}
	for (size_t i = 0; i < options->namespace_count && !status; i++) {
		status = vigie_buffer_append(key, "\n", 1);
		if (!status)
			status = vigie_buffer_append(key, options->namespaces[i],
						     strlen(options->namespaces[i]));
	}
	return status ? status : vigie_buffer_append(key, "", 1);
}

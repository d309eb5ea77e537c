#include "vigie/metrics.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LABELS_MAX = 512 /* bytes of one sample's labels */
};

/* One line of a family: its name is the family's with a suffix ("_bucket"). */
struct sample {
	struct sample *next;
	const char *suffix;
	double value;
	char labels[];
};

struct family {
	struct family *next;
	const char *name;
	const char *type;
	const char *help;
	struct sample *first;
	struct sample **last;
};

struct vigie_metrics {
	struct family *first;
	struct family **last;
	bool failed; /* memory was out */
};

struct vigie_metrics *vigie_metrics_new(void)
{
	struct vigie_metrics *metrics = calloc(1, sizeof(*metrics));

	if (metrics)
		metrics->last = &metrics->first;
	return metrics;
}

void vigie_metrics_free(struct vigie_metrics *metrics)
{
	while (metrics && metrics->first) {
		struct family *family = metrics->first;

		metrics->first = family->next;
		while (family->first) {
			struct sample *sample = family->first;

			family->first = sample->next;
			free(sample);
		}
		free(family);
	}
	free(metrics);
}

static struct family *get_family(struct vigie_metrics *metrics, const char *name, const char *type,
				 const char *help)
{
	struct family *family;

	for (family = metrics->first; family; family = family->next) {
		if (strcmp(family->name, name) == 0)
			return family;
	}
	family = calloc(1, sizeof(*family));
	if (!family) {
		metrics->failed = true;
		return NULL;
	}
	*family = (struct family){.name = name, .type = type, .help = help};
	family->last = &family->first;
	*metrics->last = family;
	metrics->last = &family->next;
	return family;
}

static double join(enum vigie_metric_type type, double a, double b)
{
	switch (type) {
	case VIGIE_GAUGE_LEAST:
		return a < b ? a : b;
	case VIGIE_GAUGE_GREATEST:
		return a > b ? a : b;
	case VIGIE_COUNTER:
	case VIGIE_GAUGE:
		break;
	}
	return a + b;
}

static void add_sample(struct vigie_metrics *metrics, struct family *family, enum vigie_metric_type type,
		       const char *suffix, const char *labels, double value)
{
	size_t length = strlen(labels) + 1;
	struct sample *sample;

	for (sample = family->first; sample; sample = sample->next) {
		if (strcmp(sample->suffix, suffix) == 0 && strcmp(sample->labels, labels) == 0) {
			sample->value = join(type, sample->value, value);
			return;
		}
	}
	sample = malloc(sizeof(*sample) + length);
	if (!sample) {
		metrics->failed = true;
		return;
	}
	*sample = (struct sample){.suffix = suffix, .value = value};
	memcpy(sample->labels, labels, length);
	*family->last = sample;
	family->last = &sample->next;
}

void vigie_metrics_add(struct vigie_metrics *metrics, const char *name, enum vigie_metric_type type,
		       const char *help, const char *labels, double value)
{
	struct family *family = get_family(metrics, name, type == VIGIE_COUNTER ? "counter" : "gauge", help);

	if (family)
		add_sample(metrics, family, type, "", labels, value);
}

void vigie_metrics_add_histogram(struct vigie_metrics *metrics, const char *name, const char *help,
				 const char *labels, const struct vigie_histogram *histogram)
{
	struct family *family = get_family(metrics, name, "histogram", help);
	uint64_t count = 0;

	for (size_t i = 0; family && i <= histogram->bound_count; i++) {
		char with_bound[LABELS_MAX];
		char bound[32] = "+Inf";

		if (i < histogram->bound_count)
			snprintf(bound, sizeof(bound), "%.15g", histogram->bounds[i]);
		count += histogram->counts[i];
		snprintf(with_bound, sizeof(with_bound), "%s", labels);
		vigie_metrics_label(with_bound, sizeof(with_bound), "le", bound);
		add_sample(metrics, family, VIGIE_COUNTER, "_bucket", with_bound, (double)count);
	}
	if (!family)
		return;
	add_sample(metrics, family, VIGIE_COUNTER, "_sum", labels, histogram->sum);
	add_sample(metrics, family, VIGIE_COUNTER, "_count", labels, (double)count);
}

void vigie_metrics_label(char *labels, size_t size, const char *name, const char *value)
{
	size_t at = strlen(labels);
	int wrote = snprintf(labels + at, size - at, "%s%s=\"", at > 0 ? "," : "", name);
	size_t start = at;

	if (wrote < 0 || (size_t)wrote >= size - at) {
		labels[start] = 0;
		return;
	}
	at += (size_t)wrote;
	for (; *value && at + 4 < size; value++) {
		if (*value == '\\' || *value == '"' || *value == '\n')
			labels[at++] = '\\';
		labels[at++] = *value;
		if (*value == '\n')
			labels[at - 1] = 'n';
	}
	if (*value || at + 2 > size) {
		labels[start] = 0;
		return;
	}
	labels[at++] = '"';
	labels[at] = 0;
}

static __attribute__((format(printf, 2, 3))) enum vigie_status print(struct vigie_buffer *page,
								     const char *format, ...)
{
	char line[LABELS_MAX + 512];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof(line))
		return VIGIE_ENOSPC;
	return vigie_buffer_append(page, line, (size_t)length);
}

static enum vigie_status write_family(const struct family *family, struct vigie_buffer *page)
{
	enum vigie_status status = print(page, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help,
					 family->name, family->type);

	for (const struct sample *sample = family->first; sample && !status; sample = sample->next) {
		const char *open = sample->labels[0] ? "{" : "";
		const char *close = sample->labels[0] ? "}" : "";

		status = print(page, "%s%s%s%s%s %.15g\n", family->name, sample->suffix, open, sample->labels,
			       close, sample->value);
	}
	return status;
}

enum vigie_status vigie_metrics_write(struct vigie_metrics *metrics, struct vigie_buffer *page)
{
	enum vigie_status status = metrics->failed ? VIGIE_ENOMEM : VIGIE_OK;

	for (const struct family *family = metrics->first; family && !status; family = family->next)
		status = write_family(family, page);
	return status;
}

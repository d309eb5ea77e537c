#include <stdlib.h>
#include <string.h>

#include "kubernetes.h"
#include "vigie/log.h"

enum {
	TTL_DEFAULT = 5,
	TTL_MAX = 3600,
	STARTUP_MS = 5000,
	SILENCE_LEAST_MS = 1000,
	WARM_AGE_MS = 3600000,
	BURST_MAX = 1000000
};

struct reader {
	struct vigie_block *block;
	const struct vigie_statement *directive;
	struct kubernetes *kubernetes;
	struct vigie_error *error;
};

/* The longest first, those of one length as they stand: the first zone that a name is in is its zone. */
static void sort_zones(struct kubernetes *kubernetes)
{
	struct vigie_view *view = &kubernetes->view;
	struct vigie_name *zones = kubernetes->zones.names;

	for (size_t i = 1; i < view->zone_count; i++) {
		struct vigie_name zone = zones[i];
		size_t at = i;

		for (; at > 0 && zones[at - 1].labels < zone.labels; at--)
			zones[at] = zones[at - 1];
		zones[at] = zone;
		if (view->primary == i)
			view->primary = at;
		else if (view->primary >= at && view->primary < i)
			view->primary++;
	}
}

static enum vigie_status read_own_zones(struct reader *reader)
{
	const struct vigie_statement *directive = reader->directive;
	struct kubernetes *kubernetes = reader->kubernetes;
	struct vigie_view *view = &kubernetes->view;
	enum vigie_status status = zones_from_words_or_keys(
		&kubernetes->zones, reader->block, directive->args, directive->arg_count, reader->error);

	if (status)
		return status;
	view->zones = kubernetes->zones.names;
	view->zone_count = kubernetes->zones.count;
	for (view->primary = 0; view->primary < view->zone_count; view->primary++) {
		if (!vigie_name_is_reverse(&view->zones[view->primary])) {
			sort_zones(kubernetes);
			vigie_view_plan(view);
			return VIGIE_OK;
		}
	}
	return vigie_word_error(reader->error, &directive->name,
				"'%s' needs a zone that is not a reverse one, such as cluster.local",
				directive->name.text);
}

static enum vigie_status read_selector(struct reader *reader, const struct vigie_statement *option,
				       const char **selector)
{
	struct vigie_error reason;
	struct vigie_selector *parsed;

	if (option->arg_count == 0)
		return vigie_statement_args(option, 1, SIZE_MAX, reader->error);
	*selector = vigie_statement_join(option, reader->block->arena); /* it may hold spaces */
	if (!*selector)
		return vigie_error_memory(reader->error);
	parsed = vigie_selector_new(*selector, &reason);
	if (!parsed)
		return vigie_word_error(reader->error, &option->name, "'%s': '%s' is no label selector: %s",
					option->name.text, *selector, reason.text);
	vigie_selector_free(parsed);
	return VIGIE_OK;
}

static enum vigie_status read_labels(struct reader *reader, const struct vigie_statement *option)
{
	return read_selector(reader, option, &reader->kubernetes->watch.selector);
}

static enum vigie_status read_namespace_labels(struct reader *reader, const struct vigie_statement *option)
{
	return read_selector(reader, option, &reader->kubernetes->watch.namespace_selector);
}

static enum vigie_status read_namespaces(struct reader *reader, const struct vigie_statement *option)
{
	struct vigie_cluster_options *options = &reader->kubernetes->cluster_options;
	const char **names =
		vigie_arena_alloc(reader->block->arena,
				  (options->namespace_count + option->arg_count + 1) * sizeof(const char *));
	enum vigie_status status = vigie_statement_args(option, 1, SIZE_MAX, reader->error);

	if (status)
		return status;
	if (!names)
		return vigie_error_memory(reader->error);
	if (options->namespace_count > 0)
		memcpy(names, options->namespaces, options->namespace_count * sizeof(const char *));
	for (size_t i = 0; i < option->arg_count; i++)
		names[options->namespace_count++] = option->args[i].text;
	options->namespaces = names;
	return VIGIE_OK;
}

static enum vigie_status read_pods(struct reader *reader, const struct vigie_statement *option)
{
	static const char *const modes[] = {
		[VIGIE_PODS_DISABLED] = "disabled",
		[VIGIE_PODS_INSECURE] = "insecure",
		[VIGIE_PODS_VERIFIED] = "verified",
	};
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	if (status)
		return status;
	for (unsigned mode = 0; mode < sizeof(modes) / sizeof(*modes); mode++) {
		if (strcmp(option->args[0].text, modes[mode]) == 0) {
			reader->kubernetes->view.pods = (enum vigie_pods)mode;
			return VIGIE_OK;
		}
	}
	return vigie_word_error(reader->error, &option->args[0],
				"'pods' takes disabled, insecure or verified, not '%s'",
				option->args[0].text);
}

static enum vigie_status read_endpoint(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, SIZE_MAX, reader->error);

	if (status)
		return status;
	if (strstr(option->args[0].text, "://") && strncmp(option->args[0].text, "https://", 8) != 0 &&
	    strncmp(option->args[0].text, "http://", 7) != 0)
		return vigie_word_error(reader->error, &option->args[0],
					"'endpoint' takes the https:// or http:// of an API server, not '%s'",
					option->args[0].text);
	reader->kubernetes->endpoint = option->args[0].text;
	reader->kubernetes->source = &option->name;
	if (option->arg_count > 1)
		vigie_log(VIGIE_LOG_WARNING, "kubernetes", "%s:%u: of several endpoints only '%s' is used",
			  option->name.file, option->name.line, option->args[0].text);
	return VIGIE_OK;
}

static enum vigie_status read_tls(struct reader *reader, const struct vigie_statement *option)
{
	struct kubernetes *kubernetes = reader->kubernetes;
	enum vigie_status status = vigie_statement_args(option, 3, 3, reader->error);

	if (status)
		return status;
	kubernetes->certificate = option->args[0].text;
	kubernetes->key = option->args[1].text;
	kubernetes->ca = option->args[2].text;
	return VIGIE_OK;
}

static enum vigie_status read_kubeconfig(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 2, reader->error);

	if (status)
		return status;
	reader->kubernetes->kubeconfig = option->args[0].text;
	reader->kubernetes->source = &option->name;
	reader->kubernetes->context = option->arg_count == 2 ? option->args[1].text : NULL;
	return VIGIE_OK;
}

static enum vigie_status read_snapshot(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	if (status)
		return status;
	reader->kubernetes->snapshot = option->args[0].text;
	reader->kubernetes->source = &option->name;
	return VIGIE_OK;
}

static enum vigie_status read_ttl(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);
	uint64_t ttl;

	if (!status)
		status = vigie_number_from_word(&option->args[0], 0, TTL_MAX, &ttl, reader->error);
	if (!status)
		reader->kubernetes->view.ttl = (uint32_t)ttl;
	return status;
}

static enum vigie_status read_fallthrough(struct reader *reader, const struct vigie_statement *option)
{
	return fallthrough_read(&reader->kubernetes->fall, reader->block, option, reader->error);
}

static enum vigie_status read_ignore(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	if (status)
		return status;
	if (strcmp(option->args[0].text, "empty_service") != 0)
		return vigie_word_error(reader->error, &option->args[0],
					"'ignore' takes empty_service, not '%s'", option->args[0].text);
	reader->kubernetes->view.ignore_empty_service = true;
	return VIGIE_OK;
}

static enum vigie_status read_startup_timeout(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	return status ? status
		      : vigie_duration_from_word(&option->args[0], &reader->kubernetes->startup_ms,
						 reader->error);
}

static enum vigie_status read_warm(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	if (!status)
		reader->kubernetes->watch.warm = option->args[0].text;
	return status;
}

static enum vigie_status read_warm_age(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	return status ? status
		      : vigie_duration_from_word(&option->args[0], &reader->kubernetes->warm_age_ms,
						 reader->error);
}

/* Less than a second would take a server that is merely busy for a dead one. */
static enum vigie_status read_watch_silence(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	if (!status)
		status = vigie_duration_from_word(&option->args[0], &reader->kubernetes->watch.silence_ms,
						  reader->error);
	if (!status && reader->kubernetes->watch.silence_ms < SILENCE_LEAST_MS)
		return vigie_word_error(reader->error, &option->args[0],
					"'watch_silence' takes a second or more, not '%s'",
					option->args[0].text);
	return status;
}

static enum vigie_status read_qps(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);
	const char *text;
	char *end;
	double qps;

	if (status)
		return status;
	text = option->args[0].text;
	qps = strtod(text, &end);
	if (end == text || *end || !(qps >= 0 && qps <= BURST_MAX))
		return vigie_word_error(reader->error, &option->args[0],
					"'apiserver_qps' takes a number from 0 to %d, not '%s'", BURST_MAX,
					text);
	reader->kubernetes->watch.qps = qps;
	return VIGIE_OK;
}

static enum vigie_status read_count(struct reader *reader, const struct vigie_statement *option,
				    unsigned *count)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);
	uint64_t number;

	if (!status)
		status = vigie_number_from_word(&option->args[0], 0, BURST_MAX, &number, reader->error);
	if (!status)
		*count = (unsigned)number;
	return status;
}

static enum vigie_status read_burst(struct reader *reader, const struct vigie_statement *option)
{
	return read_count(reader, option, &reader->kubernetes->watch.burst);
}

static enum vigie_status read_max_inflight(struct reader *reader, const struct vigie_statement *option)
{
	return read_count(reader, option, &reader->kubernetes->watch.max_inflight);
}

static enum vigie_status set_flag(struct reader *reader, const struct vigie_statement *option, bool *flag,
				  bool value)
{
	*flag = value;
	return vigie_statement_args(option, 0, 0, reader->error);
}

static enum vigie_status read_endpoint_pod_names(struct reader *reader, const struct vigie_statement *option)
{
	return set_flag(reader, option, &reader->kubernetes->cluster_options.endpoint_pod_names, true);
}

static enum vigie_status read_noendpoints(struct reader *reader, const struct vigie_statement *option)
{
	return set_flag(reader, option, &reader->kubernetes->view.endpoints, false);
}

static enum vigie_status read_warm_ready(struct reader *reader, const struct vigie_statement *option)
{
	return set_flag(reader, option, &reader->kubernetes->warm_ready, true);
}

static enum vigie_status read_zonal(struct reader *reader, const struct vigie_statement *option)
{
	return set_flag(reader, option, &reader->kubernetes->view.zonal, true);
}

static enum vigie_status refuse_multicluster(struct reader *reader, const struct vigie_statement *option)
{
	return vigie_word_error(reader->error, &option->name,
				"'multicluster' is not supported: vigie does not read ServiceImports");
}

static const struct option {
	const char *name;
	enum vigie_status (*read)(struct reader *reader, const struct vigie_statement *option);
} options[] = {
	{"apiserver_burst", read_burst},
	{"apiserver_max_inflight", read_max_inflight},
	{"apiserver_qps", read_qps},
	{"endpoint", read_endpoint},
	{"endpoint_pod_names", read_endpoint_pod_names},
	{"fallthrough", read_fallthrough},
	{"ignore", read_ignore},
	{"kubeconfig", read_kubeconfig},
	{"labels", read_labels},
	{"multicluster", refuse_multicluster},
	{"namespace_labels", read_namespace_labels},
	{"namespaces", read_namespaces},
	{"noendpoints", read_noendpoints},
	{"pods", read_pods},
	{"snapshot", read_snapshot},
	{"startup_timeout", read_startup_timeout},
	{"tls", read_tls},
	{"ttl", read_ttl},
	{"warm", read_warm},
	{"warm_age", read_warm_age},
	{"warm_ready", read_warm_ready},
	{"watch_silence", read_watch_silence},
	{"zonal", read_zonal},
};

static enum vigie_status read_option(struct reader *reader, const struct vigie_statement *option)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		if (strcmp(options[i].name, option->name.text) != 0)
			continue;
		if (option->body)
			return vigie_statement_plain(option, reader->error);
		return options[i].read(reader, option);
	}
	return vigie_option_unknown(reader->directive, option, reader->error);
}

/* What makes no sense together. */
static enum vigie_status check(const struct reader *reader)
{
	const struct kubernetes *kubernetes = reader->kubernetes;
	const struct vigie_word *word = &reader->directive->name;

	if (kubernetes->cluster_options.namespace_count > 0 && kubernetes->watch.namespace_selector)
		return vigie_word_error(reader->error, word,
					"'namespaces' and 'namespace_labels' exclude each other");
	if (kubernetes->view.zonal && !kubernetes->view.endpoints)
		return vigie_word_error(
			reader->error, word,
			"'zonal' and 'noendpoints' exclude each other: zonal names are endpoints'");
	if (kubernetes->snapshot && (kubernetes->kubeconfig || kubernetes->endpoint))
		return vigie_word_error(
			reader->error, word,
			"'snapshot' and '%s' exclude each other: the cluster is read from one place",
			kubernetes->kubeconfig ? "kubeconfig" : "endpoint");
	if (kubernetes->snapshot && kubernetes->watch.warm)
		return vigie_word_error(
			reader->error, word,
			"'snapshot' and 'warm' exclude each other: a snapshot is always there");
	if (kubernetes->warm_ready && !kubernetes->watch.warm)
		return vigie_word_error(reader->error, word, "'warm_ready' needs 'warm FILE'");
	return VIGIE_OK;
}

enum vigie_status kubernetes_read_options(struct vigie_block *block, const struct vigie_statement *statement,
					  struct kubernetes **instance, struct vigie_error *error)
{
	struct kubernetes *kubernetes = vigie_arena_alloc(block->arena, sizeof(*kubernetes));
	struct reader reader = {
		.block = block, .directive = statement, .kubernetes = kubernetes, .error = error};
	enum vigie_status status;

	if (!kubernetes)
		return vigie_error_memory(error);
	kubernetes->source = &statement->name;
	kubernetes->view.ttl = TTL_DEFAULT;
	kubernetes->view.endpoints = true;
	kubernetes->startup_ms = STARTUP_MS;
	kubernetes->warm_age_ms = WARM_AGE_MS;
	status = read_own_zones(&reader);
	for (size_t i = 0; i < statement->body_count && !status; i++)
		status = read_option(&reader, &statement->body[i]);
	if (!status)
		status = check(&reader);
	*instance = kubernetes;
	return status;
}

/* Where instances of the `kubernetes` directive have their tables from. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kubernetes.h"
#include "vigie/log.h"

enum {
	KEY_MAX = 8 << 20 /* bytes: certificates may stand in it */
};

static struct source *sources;

static enum vigie_status no_memory(struct vigie_error *error)
{
	return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
}

/* Who the API server is; the error gets the directive's place. */
static enum vigie_status find_api_server(const struct kubernetes *kubernetes,
					 struct vigie_kube_config *config, struct vigie_error *error)
{
	struct vigie_error reason;
	enum vigie_status status;

	if (kubernetes->kubeconfig)
		status = vigie_kube_config_from_file(config, kubernetes->kubeconfig, kubernetes->context,
						     &reason);
	else if (kubernetes->endpoint)
		status =
			vigie_kube_config_from_endpoint(config, kubernetes->endpoint, kubernetes->certificate,
							kubernetes->key, kubernetes->ca, &reason);
	else
		status = vigie_kube_config_in_cluster(config, NULL, &reason);
	if (status)
		vigie_word_error(error, kubernetes->word, "'%s': %s", kubernetes->word->text, reason.text);
	return status;
}

/* A text with its end; none is something else than an empty one. */
static enum vigie_status add_text(struct vigie_buffer *key, const char *text)
{
	return text ? vigie_buffer_append(key, text, strlen(text) + 1) : vigie_buffer_append(key, "\1", 2);
}

/* Everything that makes one source another than the next. */
static enum vigie_status make_key(const struct kubernetes *kubernetes, const struct vigie_kube_config *config,
				  struct vigie_buffer *key)
{
	const struct vigie_watch_options *watch = &kubernetes->watch;
	const struct vigie_cluster_options *options = &kubernetes->cluster_options;
	const char *const texts[] = {
		kubernetes->snapshot,      config->server,    config->tls_server_name,
		config->ca_file,           config->ca_data,   config->certificate_file,
		config->certificate_data,  config->key_file,  config->key_data,
		config->token_file,        config->token,     config->username,
		config->password,          config->proxy_url, watch->selector,
		watch->namespace_selector, watch->warm,
	};
	const struct {
		double qps;
		uint64_t silence_ms;
		uint64_t warm_age_ms;
		uint64_t endpoint_pod_names;
		unsigned burst;
		unsigned max_inflight;
		bool kinds[VIGIE_KINDS];
		uint8_t zero[8 - VIGIE_KINDS]; /* no padding */
	} numbers = {watch->qps,
		     watch->silence_ms,
		     kubernetes->warm_age_ms,
		     options->endpoint_pod_names,
		     watch->burst,
		     watch->max_inflight,
		     {watch->kinds[0], watch->kinds[1], watch->kinds[2], watch->kinds[3]},
		     {0}};
	enum vigie_status status = vigie_buffer_append(key, &numbers, sizeof(numbers));
	struct stat file = {0};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts) && !status; i++)
		status = add_text(key, texts[i]);
	for (size_t i = 0; i < options->namespace_count && !status; i++)
		status = add_text(key, options->namespaces[i]);
	/* A snapshot that was written anew is another one. */
	if (!status && kubernetes->snapshot && stat(kubernetes->snapshot, &file) == 0) {
		status = vigie_buffer_append(key, &file.st_mtim, sizeof(file.st_mtim));
		if (!status)
			status = vigie_buffer_append(key, &file.st_ino, sizeof(file.st_ino));
	}
	return status;
}

static struct source *find(const struct vigie_buffer *key)
{
	struct source *source = sources;

	while (source &&
	       (source->key.length != key->length || memcmp(source->key.data, key->data, key->length) != 0))
		source = source->next;
	return source;
}

static void source_free(struct source *source)
{
	kubernetes_signal_stop(source);
	if (source->watcher)
		vigie_watcher_stop(source->watcher);
	vigie_cluster_free(source->cluster);
	vigie_records_free(source->records);
	vigie_buffer_fini(&source->key);
	free(source);
}

/* What was known before the restart. */
static void read_warm(const struct kubernetes *kubernetes, struct source *source)
{
	const char *path = kubernetes->watch.warm;
	struct vigie_records_count count;
	struct vigie_error error;

	source->is_warm = vigie_warm_read(path, kubernetes->watch.warm_owner, kubernetes->warm_age_ms / 1000,
					  source->cluster, &error) == VIGIE_OK;
	if (!source->is_warm) {
		vigie_log(VIGIE_LOG_WARNING, "kubernetes", "%s", error.text);
		return;
	}
	vigie_records_count(source->records, &count);
	vigie_log(VIGIE_LOG_INFO, "kubernetes",
		  "%" PRIu64 " services and %" PRIu64 " endpoints from the warm file '%s'", count.services,
		  count.endpoints, path);
}

/* Fills the source, or begins to. Takes over `config`'s contents. */
static enum vigie_status source_start(struct kubernetes *kubernetes, struct source *source,
				      struct vigie_kube_config *config, struct vigie_error *error)
{
	struct vigie_error reason;

	if (kubernetes->snapshot) {
		if (vigie_snapshot_load(kubernetes->snapshot, &kubernetes->watch, source->cluster, &reason))
			return vigie_word_error(error, kubernetes->word, "'%s': %s", kubernetes->word->text,
						reason.text);
		return VIGIE_OK;
	}
	if (kubernetes->watch.warm) {
		vigie_warm_owner(kubernetes->watch.warm_owner, config, &kubernetes->watch,
				 &kubernetes->cluster_options);
		read_warm(kubernetes, source);
	}
	source->watcher = vigie_watcher_start(config, &kubernetes->watch, source->cluster, &reason);
	return source->watcher ? VIGIE_OK
			       : vigie_word_error(error, kubernetes->word, "'%s': %s", kubernetes->word->text,
						  reason.text);
}

static enum vigie_status source_new(struct kubernetes *kubernetes, struct vigie_kube_config *config,
				    struct vigie_buffer *key, uv_loop_t *loop, struct source **made,
				    struct vigie_error *error)
{
	struct source *source = calloc(1, sizeof(*source));
	enum vigie_status status;

	if (!source)
		return no_memory(error);
	source->key = *key;
	vigie_buffer_init(key, KEY_MAX);
	source->records = vigie_records_new();
	if (source->records)
		source->cluster = vigie_cluster_new(source->records, &kubernetes->cluster_options);
	status = source->cluster ? source_start(kubernetes, source, config, error) : no_memory(error);
	if (!status && kubernetes_signal_start(source, loop))
		status = no_memory(error);
	if (status)
		source_free(source);
	else
		*made = source;
	return status;
}

enum vigie_status kubernetes_source_acquire(struct kubernetes *kubernetes, uv_loop_t *loop,
					    struct vigie_error *error)
{
	struct vigie_kube_config config = {0};
	enum vigie_status status = VIGIE_OK;
	struct vigie_buffer key;
	struct source *source;

	vigie_buffer_init(&key, KEY_MAX);
	if (!kubernetes->snapshot)
		status = find_api_server(kubernetes, &config, error);
	if (!status && make_key(kubernetes, &config, &key))
		status = no_memory(error);
	source = status ? NULL : find(&key);
	if (!status && !source) {
		status = source_new(kubernetes, &config, &key, loop, &source, error);
		if (!status) {
			source->next = sources;
			sources = source;
		}
	}
	if (!status) {
		kubernetes->source = source;
		kubernetes->next = source->users;
		source->users = kubernetes;
	}
	vigie_kube_config_fini(&config);
	vigie_buffer_fini(&key);
	return status;
}

void kubernetes_source_release(struct kubernetes *kubernetes)
{
	struct source *source = kubernetes->source;
	struct kubernetes **user;
	struct source **at;

	if (!source)
		return;
	for (user = &source->users; *user != kubernetes;)
		user = &(*user)->next;
	*user = kubernetes->next;
	kubernetes->source = NULL;
	if (source->users)
		return;
	for (at = &sources; *at != source;)
		at = &(*at)->next;
	*at = source->next;
	source_free(source);
}

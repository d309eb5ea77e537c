/* kubeconfig files: the part of client-go's clientcmd/api/v1 that a server in a pod or beside a cluster
 * needs. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube_config.h"
#include "vigie/buffer.h"
#include "vigie/yaml.h"

enum {
	FILE_MAX = 1 << 20 /* bytes of a kubeconfig */
};

struct reader {
	yaml_document_t document;
	const char *path;
	struct vigie_kube_config *config;
	struct vigie_error *error;
};

static yaml_node_t *get(struct reader *reader, const yaml_node_t *mapping, const char *key)
{
	return vigie_yaml_get(&reader->document, mapping, key);
}

static const char *get_text(struct reader *reader, const yaml_node_t *mapping, const char *key)
{
	return vigie_yaml_get_text(&reader->document, mapping, key);
}

/* The `what` of the element called `name` in the list `list`. */
static yaml_node_t *find(struct reader *reader, const char *list, const char *name, const char *what)
{
	const yaml_node_t *root = yaml_document_get_root_node(&reader->document);
	const yaml_node_t *sequence = get(reader, root, list);

	if (!sequence || sequence->type != YAML_SEQUENCE_NODE || !name)
		return NULL;
	for (yaml_node_item_t *item = sequence->data.sequence.items.start;
	     item < sequence->data.sequence.items.top; item++) {
		const yaml_node_t *element = yaml_document_get_node(&reader->document, *item);
		const char *called = get_text(reader, element, "name");

		if (called && strcmp(called, name) == 0)
			return get(reader, element, what);
	}
	return NULL;
}

static enum vigie_status refuse(struct reader *reader, const char *what)
{
	return vigie_error_set(reader->error, VIGIE_EINVAL, "kubeconfig '%s': %s", reader->path, what);
}

static enum vigie_status no_memory(struct reader *reader)
{
	return vigie_error_memory(reader->error);
}

static enum vigie_status copy_text(struct reader *reader, const yaml_node_t *mapping, const char *key,
				   char **field)
{
	const char *text = get_text(reader, mapping, key);

	return text && kube_config_set(field, text) ? no_memory(reader) : VIGIE_OK;
}

/* A path that is relative to the kubeconfig's folder. */
static enum vigie_status copy_path(struct reader *reader, const yaml_node_t *mapping, const char *key,
				   char **field)
{
	const char *text = get_text(reader, mapping, key);
	const char *slash = strrchr(reader->path, '/');
	char *path;

	if (!text || text[0] == '/' || !slash)
		return copy_text(reader, mapping, key, field);
	if (asprintf(&path, "%.*s%s", (int)(slash - reader->path + 1), reader->path, text) < 0)
		return no_memory(reader);
	free(*field);
	*field = path;
	return VIGIE_OK;
}

/* Base64 of a PEM text. */
static enum vigie_status copy_data(struct reader *reader, const yaml_node_t *mapping, const char *key,
				   char **field)
{
	const char *text = get_text(reader, mapping, key);
	size_t length = text ? strlen(text) : 0;
	size_t written;
	char *data;
	char what[128];

	if (!text)
		return VIGIE_OK;
	data = calloc(1, length + 1);
	if (!data)
		return no_memory(reader);
	if (sodium_base642bin((unsigned char *)data, length, text, length, " \n\r", &written, NULL,
			      sodium_base64_VARIANT_ORIGINAL)) {
		free(data);
		snprintf(what, sizeof(what), "'%s' is not base64", key);
		return refuse(reader, what);
	}
	data[written] = 0;
	free(*field);
	*field = data;
	return VIGIE_OK;
}

static enum vigie_status read_cluster(struct reader *reader, const yaml_node_t *cluster)
{
	struct vigie_kube_config *config = reader->config;
	const char *insecure = get_text(reader, cluster, "insecure-skip-tls-verify");
	enum vigie_status status;

	if (insecure && strcmp(insecure, "true") == 0)
		return refuse(
			reader,
			"'insecure-skip-tls-verify' is refused: the API server is always verified; give "
			"its CA by 'certificate-authority' or '-data'");
	if (!get_text(reader, cluster, "server"))
		return refuse(reader, "the cluster has no 'server'");
	status = copy_text(reader, cluster, "server", &config->server);
	if (!status)
		status = copy_text(reader, cluster, "tls-server-name", &config->tls_server_name);
	if (!status)
		status = copy_text(reader, cluster, "proxy-url", &config->proxy_url);
	if (!status)
		status = copy_path(reader, cluster, "certificate-authority", &config->ca_file);
	if (!status)
		status = copy_data(reader, cluster, "certificate-authority-data", &config->ca_data);
	return status;
}

static enum vigie_status read_user(struct reader *reader, const yaml_node_t *user)
{
	struct vigie_kube_config *config = reader->config;
	enum vigie_status status;

	if (get(reader, user, "exec"))
		return refuse(
			reader,
			"the user's 'exec' plugin is not supported: vigie starts no programs; use a token, "
			"a tokenFile or a client certificate");
	if (get(reader, user, "auth-provider"))
		return refuse(
			reader,
			"the user's 'auth-provider' is not supported: use a token, a tokenFile or a client "
			"certificate");
	status = copy_text(reader, user, "token", &config->token);
	if (!status)
		status = copy_path(reader, user, "tokenFile", &config->token_file);
	if (!status)
		status = copy_path(reader, user, "client-certificate", &config->certificate_file);
	if (!status)
		status = copy_data(reader, user, "client-certificate-data", &config->certificate_data);
	if (!status)
		status = copy_path(reader, user, "client-key", &config->key_file);
	if (!status)
		status = copy_data(reader, user, "client-key-data", &config->key_data);
	if (!status)
		status = copy_text(reader, user, "username", &config->username);
	if (!status)
		status = copy_text(reader, user, "password", &config->password);
	return status;
}

static enum vigie_status read_context(struct reader *reader, const char *name)
{
	const yaml_node_t *root = yaml_document_get_root_node(&reader->document);
	const char *context = name ? name : get_text(reader, root, "current-context");
	const yaml_node_t *chosen = find(reader, "contexts", context, "context");
	const yaml_node_t *cluster;
	const yaml_node_t *user;
	const char *user_name;
	char what[256];
	enum vigie_status status;

	if (!context)
		return refuse(reader, "there is no current-context: name one");
	if (!chosen) {
		snprintf(what, sizeof(what), "there is no context '%.128s'", context);
		return refuse(reader, what);
	}
	cluster = find(reader, "clusters", get_text(reader, chosen, "cluster"), "cluster");
	if (!cluster) {
		snprintf(what, sizeof(what), "the cluster of context '%.128s' is missing", context);
		return refuse(reader, what);
	}
	status = read_cluster(reader, cluster);
	user_name = get_text(reader, chosen, "user");
	if (status || !user_name)
		return status;
	user = find(reader, "users", user_name, "user");
	if (!user) {
		snprintf(what, sizeof(what), "the user of context '%.128s' is missing", context);
		return refuse(reader, what);
	}
	return read_user(reader, user);
}

enum vigie_status vigie_kube_config_from_file(struct vigie_kube_config *config, const char *path,
					      const char *context, struct vigie_error *error)
{
	struct reader reader = {.path = path, .config = config, .error = error};
	struct vigie_buffer buffer;
	enum vigie_status status;
	yaml_parser_t parser;

	memset(config, 0, sizeof(*config));
	vigie_buffer_init(&buffer, FILE_MAX);
	status = vigie_buffer_read_file(&buffer, path);
	if (status) {
		vigie_error_set(error, status, "kubeconfig '%s' cannot be read: %s", path,
				status == VIGIE_EIO ? strerror(errno) : vigie_status_text(status));
		vigie_buffer_fini(&buffer);
		return status;
	}
	if (!yaml_parser_initialize(&parser)) {
		vigie_buffer_fini(&buffer);
		return no_memory(&reader);
	}
	yaml_parser_set_input_string(&parser, buffer.data, buffer.length);
	if (!yaml_parser_load(&parser, &reader.document)) {
		status = vigie_error_set(error, VIGIE_EINVAL, "kubeconfig '%s', line %zu: %s", path,
					 parser.problem_mark.line + 1,
					 parser.problem ? parser.problem : "no YAML");
	} else {
		status = read_context(&reader, context);
		yaml_document_delete(&reader.document);
	}
	yaml_parser_delete(&parser);
	vigie_buffer_fini(&buffer);
	if (status)
		vigie_kube_config_fini(config);
	return status;
}

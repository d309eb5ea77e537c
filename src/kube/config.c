#include "kube_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum vigie_status kube_config_set(char **field, const char *text)
{
	char *copy = NULL;

	if (text) {
		copy = strdup(text);
		if (!copy)
			return VIGIE_ENOMEM;
	}
	free(*field);
	*field = copy;
	return VIGIE_OK;
}

void vigie_kube_config_fini(struct vigie_kube_config *config)
{
	free(config->server);
	free(config->tls_server_name);
	free(config->ca_file);
	free(config->ca_data);
	free(config->certificate_file);
	free(config->certificate_data);
	free(config->key_file);
	free(config->key_data);
	free(config->token_file);
	free(config->token);
	free(config->username);
	free(config->password);
	free(config->proxy_url);
	memset(config, 0, sizeof(*config));
}

static enum vigie_status no_memory(struct vigie_kube_config *config, struct vigie_error *error)
{
	vigie_kube_config_fini(config);
	return vigie_error_memory(error);
}

enum vigie_status vigie_kube_config_in_cluster(struct vigie_kube_config *config, const char *directory,
					       struct vigie_error *error)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	char path[4096];
	char url[512];

	memset(config, 0, sizeof(*config));
	if (!directory)
		directory = "/var/run/secrets/kubernetes.io/serviceaccount";
	if (!host || !*host || !port || !*port)
		return vigie_error_set(
			error, VIGIE_ENOENT,
			"this is no pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; "
			"outside of a cluster use 'kubeconfig', 'endpoint' or 'snapshot'");
	snprintf(path, sizeof(path), "%s/token", directory);
	if (access(path, R_OK))
		return vigie_error_set(error, VIGIE_ENOENT, "the ServiceAccount's token %s cannot be read",
				       path);
	if (kube_config_set(&config->token_file, path))
		return no_memory(config, error);
	snprintf(path, sizeof(path), "%s/ca.crt", directory);
	snprintf(url, sizeof(url), strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
	if (kube_config_set(&config->ca_file, path) || kube_config_set(&config->server, url))
		return no_memory(config, error);
	return VIGIE_OK;
}

enum vigie_status vigie_kube_config_from_endpoint(struct vigie_kube_config *config, const char *url,
						  const char *certificate, const char *key, const char *ca,
						  struct vigie_error *error)
{
	memset(config, 0, sizeof(*config));
	if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
		return vigie_error_set(error, VIGIE_EINVAL, "endpoint '%s' is no http:// or https:// URL",
				       url);
	if (kube_config_set(&config->server, url) ||
	    kube_config_set(&config->certificate_file, certificate) ||
	    kube_config_set(&config->key_file, key) || kube_config_set(&config->ca_file, ca))
		return no_memory(config, error);
	return VIGIE_OK;
}

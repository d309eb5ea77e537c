#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vigie/kube.h"

#define HEAD                                                                                                 \
	"apiVersion: v1\nkind: Config\ncurrent-context: one\ncontexts:\n"                                    \
	"- {name: one, context: {cluster: c, user: u}}\n- {name: two, context: {cluster: d}}\n"              \
	"- {name: lost, context: {cluster: nowhere}}\n- {name: alone, context: {cluster: d, user: "          \
	"nobody}}\n"

static char folder[] = "/tmp/vigie-kubeconfig-XXXXXX";
static char path[128];

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
}

static void check_error(const char *text, const char *context, const char *expected)
{
	struct vigie_kube_config config;
	struct vigie_error error;
	char whole[512];

	write_file(text);
	assert_int_equal(vigie_kube_config_from_file(&config, path, context, &error), VIGIE_EINVAL);
	snprintf(whole, sizeof(whole), "kubeconfig '%s'%s", path, expected);
	assert_string_equal(error.text, whole);
}

static void test_data_and_relative_paths(void **state)
{
	struct vigie_kube_config config;
	struct vigie_error error;
	char ca[160];

	write_file(HEAD "clusters:\n- name: c\n  cluster:\n    server: https://a:6443/prefix\n"
			"    certificate-authority: pki/ca.crt\n    tls-server-name: kubernetes\n"
			"- name: d\n  cluster: {server: 'https://d', certificate-authority-data: UEVN}\n"
			"users:\n- name: u\n  user:\n    tokenFile: /run/token\n    client-certificate-data: "
			"Q0VSVA==\n"
			"    client-key: key.pem\n");
	assert_int_equal(vigie_kube_config_from_file(&config, path, NULL, &error), VIGIE_OK);
	snprintf(ca, sizeof(ca), "%s/pki/ca.crt", folder);
	assert_string_equal(config.server, "https://a:6443/prefix");
	assert_string_equal(config.ca_file, ca);
	assert_string_equal(config.tls_server_name, "kubernetes");
	assert_string_equal(config.token_file, "/run/token");
	assert_string_equal(config.certificate_data, "CERT");
	snprintf(ca, sizeof(ca), "%s/key.pem", folder);
	assert_string_equal(config.key_file, ca);
	vigie_kube_config_fini(&config);

	assert_int_equal(vigie_kube_config_from_file(&config, path, "two", &error), VIGIE_OK);
	assert_string_equal(config.server, "https://d");
	assert_string_equal(config.ca_data, "PEM");
	assert_null(config.token_file);
	vigie_kube_config_fini(&config);
}

static void test_json(void **state)
{
	struct vigie_kube_config config;

	write_file("{\"current-context\":\"x\",\"contexts\":[{\"name\":\"x\",\"context\":{\"cluster\":\"c\","
		   "\"user\":\"u\"}}],"
		   "\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"https://j\"}}],"
		   "\"users\":[{\"name\":\"u\",\"user\":{\"token\":\"secret\",\"username\":\"n\","
		   "\"password\":\"p\"}}]}");
	assert_int_equal(vigie_kube_config_from_file(&config, path, NULL, NULL), VIGIE_OK);
	assert_string_equal(config.token, "secret");
	assert_string_equal(config.username, "n");
	assert_string_equal(config.password, "p");
	vigie_kube_config_fini(&config);
}

static void test_refusals(void **state)
{
	check_error(
		HEAD
		"clusters:\n- {name: c, cluster: {server: 'https://a', insecure-skip-tls-verify: true}}\n",
		NULL,
		": 'insecure-skip-tls-verify' is refused: the API server is always verified; give its CA by "
		"'certificate-authority' or '-data'");
	check_error(HEAD "clusters:\n- {name: c, cluster: {server: 'https://a'}}\n"
			 "users:\n- {name: u, user: {exec: {command: aws}}}\n",
		    NULL,
		    ": the user's 'exec' plugin is not supported: vigie starts no programs; use a token, a "
		    "tokenFile or "
		    "a client certificate");
	check_error(HEAD "clusters:\n- {name: c, cluster: {server: 'https://a'}}\n"
			 "users:\n- {name: u, user: {auth-provider: {name: gcp}}}\n",
		    NULL,
		    ": the user's 'auth-provider' is not supported: use a token, a tokenFile or a client "
		    "certificate");
	check_error(HEAD, "three", ": there is no context 'three'");
	check_error(HEAD, "lost", ": the cluster of context 'lost' is missing");
	check_error(HEAD "clusters:\n- {name: d, cluster: {server: 'https://a'}}\n", "alone",
		    ": the user of context 'alone' is missing");
	check_error(HEAD "clusters:\n- {name: d, cluster: {}}\n", "two", ": the cluster has no 'server'");
	check_error(
		HEAD
		"clusters:\n- {name: d, cluster: {server: 'https://a', certificate-authority-data: '***'}}\n",
		"two", ": 'certificate-authority-data' is not base64");
	check_error("kind: Config\n", NULL, ": there is no current-context: name one");
	check_error("", NULL, ": there is no current-context: name one");
	check_error("a: [\n", NULL, ", line 2: did not find expected node content");
}

static void test_missing_file(void **state)
{
	struct vigie_kube_config config;
	struct vigie_error error;

	assert_int_equal(vigie_kube_config_from_file(&config, "/nonexistent/config", NULL, &error),
			 VIGIE_EIO);
	assert_string_equal(error.text,
			    "kubeconfig '/nonexistent/config' cannot be read: No such file or directory");
}

static void test_in_cluster(void **state)
{
	struct vigie_kube_config config;
	struct vigie_error error;
	char token[160];
	FILE *file;

	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(vigie_kube_config_in_cluster(&config, folder, &error), VIGIE_ENOENT);
	assert_non_null(strstr(error.text, "this is no pod"));
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_int_equal(vigie_kube_config_in_cluster(&config, folder, &error), VIGIE_ENOENT);
	assert_non_null(strstr(error.text, "token"));
	snprintf(token, sizeof(token), "%s/token", folder);
	file = fopen(token, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(vigie_kube_config_in_cluster(&config, folder, &error), VIGIE_OK);
	assert_string_equal(config.server, "https://[fd00::1]:443");
	assert_string_equal(config.token_file, token);
	vigie_kube_config_fini(&config);
	unlink(token);
}

static void test_endpoint(void **state)
{
	struct vigie_kube_config config;
	struct vigie_error error;

	assert_int_equal(vigie_kube_config_from_endpoint(&config, "https://a:8443", "c", "k", "ca", &error),
			 VIGIE_OK);
	assert_string_equal(config.certificate_file, "c");
	assert_string_equal(config.key_file, "k");
	assert_string_equal(config.ca_file, "ca");
	vigie_kube_config_fini(&config);
	assert_int_equal(vigie_kube_config_from_endpoint(&config, "a:8443", NULL, NULL, NULL, &error),
			 VIGIE_EINVAL);
	assert_string_equal(error.text, "endpoint 'a:8443' is no http:// or https:// URL");
}

static int make_folder(void **state)
{
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/config", folder);
	return 0;
}

static int remove_folder(void **state)
{
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data_and_relative_paths),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_in_cluster),
		cmocka_unit_test(test_endpoint),
	};

	return cmocka_run_group_tests_name("kubeconfig", tests, make_folder, remove_folder);
}

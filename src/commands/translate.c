/* `vigie translate`: the Corefile that does what kube-dns did with its ConfigMap. */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "vigie/name.h"
#include "vigie/status.h"
#include "vigie/yaml.h"

enum {
	UPSTREAMS_MAX = 3 /* kube-dns refuses a longer list */
};

static const char usage[] =
	"Usage of vigie translate:\n"
	"  vigie translate [-domain NAME] [FILE]\n"
	"\n"
	"Reads kube-dns' ConfigMap, as YAML or JSON, from FILE or standard input:\n"
	"  kubectl -n kube-system get configmap kube-dns -o yaml | vigie translate > Corefile\n"
	"and writes the Corefile that does the same.\n"
	"  -domain NAME  the cluster's domain (default cluster.local)\n";

struct translation {
	yaml_document_t document;
	const yaml_node_t *data; /* the ConfigMap's; NULL when it has none */
	const char *file;
	const char *domain;
	json_t *stubs;     /* domain → list of servers; NULL: none */
	json_t *upstreams; /* list of servers; NULL: the node's */
	struct vigie_error *error;
};

/* Reads documents up to the first ConfigMap. */
static enum vigie_status read_map(struct translation *translation, FILE *in)
{
	enum vigie_status status = VIGIE_ENOENT;
	yaml_parser_t parser;

	if (!yaml_parser_initialize(&parser))
		return vigie_error_set(translation->error, VIGIE_ENOMEM, "out of memory");
	yaml_parser_set_input_file(&parser, in);
	while (status == VIGIE_ENOENT) {
		const yaml_node_t *root;
		const char *kind;

		if (!yaml_parser_load(&parser, &translation->document)) {
			status = vigie_error_set(translation->error, VIGIE_EINVAL, "%s:%zu: no YAML: %s",
						 translation->file, parser.problem_mark.line + 1,
						 parser.problem);
			break;
		}
		root = yaml_document_get_root_node(&translation->document);
		kind = vigie_yaml_get_text(&translation->document, root, "kind");
		if (kind && strcmp(kind, "ConfigMap") == 0) {
			translation->data = vigie_yaml_get(&translation->document, root, "data");
			status = VIGIE_OK;
		} else {
			yaml_document_delete(&translation->document);
		}
		if (!root) {
			vigie_error_set(translation->error, status, "%s: there is no ConfigMap in it",
					translation->file);
			break;
		}
	}
	yaml_parser_delete(&parser);
	return status;
}

/* The JSON that a member of the ConfigMap holds; `*json` is NULL when it is absent. */
static enum vigie_status read_json(struct translation *translation, const char *key, json_t **json)
{
	const char *text = vigie_yaml_get_text(&translation->document, translation->data, key);
	json_error_t problem;

	*json = NULL;
	if (!text)
		return VIGIE_OK;
	*json = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
	if (*json)
		return VIGIE_OK;
	return vigie_error_set(translation->error, VIGIE_EINVAL, "%s: '%s' is no JSON: line %d: %s",
			       translation->file, key, problem.line, problem.text);
}

static bool is_port(const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	return text[0] >= '0' && text[0] <= '9' && !*end && port > 0 && port <= UINT16_MAX;
}

/* ADDRESS, v4:PORT or [v6]:PORT. */
static bool is_server(const char *text)
{
	char host[INET6_ADDRSTRLEN];
	const char *from = text + (text[0] == '[');
	const char *colon = strchr(text, ':');
	size_t length = strlen(text);
	uint8_t address[16];

	if (text[0] == '[') {
		length = strcspn(from, "]");
		if (!from[length] ||
		    (from[length + 1] && (from[length + 1] != ':' || !is_port(from + length + 2))))
			return false;
	} else if (colon && colon == strrchr(text, ':')) {
		if (!is_port(colon + 1))
			return false;
		length = (size_t)(colon - text);
	}
	if (length >= sizeof(host))
		return false;
	memcpy(host, from, length);
	host[length] = 0;
	return inet_pton(strchr(host, ':') ? AF_INET6 : AF_INET, host, address) == 1;
}

/* A list of servers that is not empty; `key` names it in the error. */
static enum vigie_status check_servers(const struct translation *translation, const char *key,
				       const json_t *servers)
{
	const json_t *server;
	size_t i;

	if (!json_is_array(servers) || json_array_size(servers) == 0)
		return vigie_error_set(translation->error, VIGIE_EINVAL, "%s: '%s' is not a list of servers",
				       translation->file, key);
	json_array_foreach(servers, i, server)
	{
		const char *text = json_string_value(server);

		if (!text || !is_server(text))
			return vigie_error_set(
				translation->error, VIGIE_EINVAL,
				"%s: '%s': '%s' is not ADDRESS or ADDRESS:PORT; a server that has a "
				"name must be given by its address",
				translation->file, key, text ? text : "a value that is no text");
	}
	return VIGIE_OK;
}

static enum vigie_status check_stubs(const struct translation *translation)
{
	struct vigie_name own, name;
	const char *domain;
	json_t *servers;

	if (!json_is_object(translation->stubs))
		return vigie_error_set(translation->error, VIGIE_EINVAL,
				       "%s: 'stubDomains' is not an object of domains and their servers",
				       translation->file);
	vigie_name_from_text(&own, translation->domain);
	json_object_foreach(translation->stubs, domain, servers)
	{
		enum vigie_status status = check_servers(translation, domain, servers);

		if (status)
			return status;
		if (vigie_name_from_text(&name, domain) || strpbrk(domain, " \t\n\"#{}"))
			return vigie_error_set(translation->error, VIGIE_EINVAL,
					       "%s: 'stubDomains': '%s' is no domain name", translation->file,
					       domain);
		if (name.length == own.length && memcmp(name.bytes, own.bytes, own.length) == 0)
			return vigie_error_set(translation->error, VIGIE_EINVAL,
					       "%s: 'stubDomains': '%s' is the cluster's own domain",
					       translation->file, domain);
	}
	return VIGIE_OK;
}

static enum vigie_status read_settings(struct translation *translation)
{
	enum vigie_status status = read_json(translation, "stubDomains", &translation->stubs);

	if (!status && translation->stubs)
		status = check_stubs(translation);
	if (!status)
		status = read_json(translation, "upstreamNameservers", &translation->upstreams);
	if (!status && translation->upstreams)
		status = check_servers(translation, "upstreamNameservers", translation->upstreams);
	if (!status && json_array_size(translation->upstreams) > UPSTREAMS_MAX)
		status = vigie_error_set(translation->error, VIGIE_EINVAL,
					 "%s: 'upstreamNameservers' has more than %d servers",
					 translation->file, UPSTREAMS_MAX);
	if (!status && vigie_yaml_get(&translation->document, translation->data, "federations"))
		fprintf(stderr, "%s: 'federations' is left out: Kubernetes has none any more\n",
			translation->file);
	return status;
}

static void print_forward(const json_t *servers)
{
	const json_t *server;
	size_t i;

	fputs("    forward .", stdout);
	json_array_foreach(servers, i, server) printf(" %s", json_string_value(server));
	if (!servers)
		fputs(" /etc/resolv.conf", stdout);
	puts(" {\n        max_concurrent 1000\n    }");
}

/* kubeadm's Corefile, and a block for each stub domain. */
static void print(const struct translation *translation)
{
	const char *domain;
	json_t *servers;

	printf(".:53 {\n"
	       "    errors\n"
	       "    health {\n"
	       "        lameduck 5s\n"
	       "    }\n"
	       "    ready\n"
	       "    kubernetes %s in-addr.arpa ip6.arpa {\n"
	       "        pods insecure\n"
	       "        fallthrough in-addr.arpa ip6.arpa\n"
	       "        ttl 30\n"
	       "    }\n"
	       "    prometheus :9153\n",
	       translation->domain);
	print_forward(translation->upstreams);
	puts("    cache 30\n"
	     "    loop\n"
	     "    reload\n"
	     "    loadbalance\n"
	     "}");
	json_object_foreach(translation->stubs, domain, servers)
	{
		printf("%s:53 {\n"
		       "    errors\n"
		       "    cache 30\n"
		       "    loop\n",
		       domain);
		print_forward(servers);
		puts("}");
	}
}

static int translate(struct translation *translation, FILE *in)
{
	enum vigie_status status = read_map(translation, in);

	if (status) {
		fprintf(stderr, "%s\n", translation->error->text);
		return EXIT_FAILURE;
	}
	status = read_settings(translation);
	if (status)
		fprintf(stderr, "%s\n", translation->error->text);
	else
		print(translation);
	json_decref(translation->stubs);
	json_decref(translation->upstreams);
	yaml_document_delete(&translation->document);
	return status ? EXIT_FAILURE : EXIT_SUCCESS;
}

int command_translate(int count, char **arguments)
{
	struct vigie_error error;
	struct translation translation = {.domain = "cluster.local", .error = &error};
	struct vigie_name name;
	FILE *in = stdin;
	int at = 1;
	int code;

	if (at < count && (strcmp(arguments[at], "-h") == 0 || strcmp(arguments[at], "--help") == 0)) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	if (at + 1 < count && strcmp(arguments[at], "-domain") == 0) {
		translation.domain = arguments[at + 1];
		at += 2;
	}
	if (count - at > 1 || (at < count && arguments[at][0] == '-' && arguments[at][1]) ||
	    vigie_name_from_text(&name, translation.domain)) {
		fprintf(stderr, "vigie translate: wrong arguments\n%s", usage);
		return EXIT_USAGE;
	}
	translation.file = at < count && strcmp(arguments[at], "-") != 0 ? arguments[at] : "standard input";
	if (translation.file == arguments[at])
		in = fopen(translation.file, "re");
	if (!in) {
		fprintf(stderr, "%s: %s\n", translation.file, strerror(errno));
		return EXIT_FAILURE;
	}
	code = translate(&translation, in);
	if (in != stdin)
		fclose(in);
	return code;
}

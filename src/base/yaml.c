#include "vigie/yaml.h"

#include <string.h>

yaml_node_t *vigie_yaml_get(yaml_document_t *document, const yaml_node_t *mapping, const char *key)
{
	if (!mapping || mapping->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
	     pair < mapping->data.mapping.pairs.top; pair++) {
		const yaml_node_t *name = yaml_document_get_node(document, pair->key);

		if (name && name->type == YAML_SCALAR_NODE &&
		    strcmp((char *)name->data.scalar.value, key) == 0)
			return yaml_document_get_node(document, pair->value);
	}
	return NULL;
}

const char *vigie_yaml_get_text(yaml_document_t *document, const yaml_node_t *mapping, const char *key)
{
	const yaml_node_t *node = vigie_yaml_get(document, mapping, key);

	if (!node || node->type != YAML_SCALAR_NODE || node->data.scalar.length == 0)
		return NULL;
	return (const char *)node->data.scalar.value;
}

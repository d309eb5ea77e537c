/* Reading members of a YAML document that libyaml has loaded. */
#ifndef VIGIE_YAML_H
#define VIGIE_YAML_H

#include <yaml.h>

/* The member of a mapping; NULL when `mapping` is NULL or no mapping, or has no such key. Borrowed from the
 * document. */
yaml_node_t *vigie_yaml_get(yaml_document_t *document, const yaml_node_t *mapping, const char *key);

/* The text of a member; NULL when it is absent, empty or no text. Borrowed from the document. */
const char *vigie_yaml_get_text(yaml_document_t *document, const yaml_node_t *mapping, const char *key);

#endif

/* What the ways of finding an API server share. */
#ifndef VIGIE_KUBE_CONFIG_H
#define VIGIE_KUBE_CONFIG_H

#include "vigie/kube.h"

/* Replaces an owned text by a copy; NULL clears it. */
enum vigie_status kube_config_set(char **field, const char *text);

#endif

/* The directives that there are. */
#ifndef VIGIE_DIRECTIVES_DIRECTIVES_H
#define VIGIE_DIRECTIVES_DIRECTIVES_H

#include "vigie/directive.h"

extern const struct vigie_directive vigie_directive_acl;
extern const struct vigie_directive vigie_directive_any;
extern const struct vigie_directive vigie_directive_autopath;
extern const struct vigie_directive vigie_directive_bind;
extern const struct vigie_directive vigie_directive_bufsize;
extern const struct vigie_directive vigie_directive_chaos;
extern const struct vigie_directive vigie_directive_debug;
extern const struct vigie_directive vigie_directive_dns64;
extern const struct vigie_directive vigie_directive_errors;
extern const struct vigie_directive vigie_directive_file;
extern const struct vigie_directive vigie_directive_forward;
extern const struct vigie_directive vigie_directive_header;
extern const struct vigie_directive vigie_directive_health;
extern const struct vigie_directive vigie_directive_hosts;
extern const struct vigie_directive vigie_directive_kubernetes;
extern const struct vigie_directive vigie_directive_loadbalance;
extern const struct vigie_directive vigie_directive_control;
extern const struct vigie_directive vigie_directive_log;
extern const struct vigie_directive vigie_directive_metadata;
extern const struct vigie_directive vigie_directive_minimal;
extern const struct vigie_directive vigie_directive_multisocket;
extern const struct vigie_directive vigie_directive_nsid;
extern const struct vigie_directive vigie_directive_pprof;
extern const struct vigie_directive vigie_directive_prometheus;
extern const struct vigie_directive vigie_directive_ready;
extern const struct vigie_directive vigie_directive_rewrite;
extern const struct vigie_directive vigie_directive_root;
extern const struct vigie_directive vigie_directive_secondary;
extern const struct vigie_directive vigie_directive_template;
extern const struct vigie_directive vigie_directive_timeouts;
extern const struct vigie_directive vigie_directive_tls;
extern const struct vigie_directive vigie_directive_trace;
extern const struct vigie_directive vigie_directive_transfer;
extern const struct vigie_directive vigie_directive_view;
extern const struct vigie_directive vigie_directive_whoami;
extern const struct vigie_directive vigie_directive_reload;
extern const struct vigie_directive vigie_directive_workers;

#endif

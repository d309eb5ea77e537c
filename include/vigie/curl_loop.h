/* libcurl's multi interface driven by a uv loop: transfers run in that loop's thread and block nobody. */
#ifndef VIGIE_CURL_LOOP_H
#define VIGIE_CURL_LOOP_H

#include <curl/curl.h>
#include <uv.h>

struct vigie_curl_loop;

/* A transfer has ended with `code`. It is still the multi handle's: the callee removes it. The loop must not
 * be closed in here. */
typedef void vigie_curl_done(CURL *easy, CURLcode code);

/* NULL when memory is out. */
struct vigie_curl_loop *vigie_curl_loop_new(uv_loop_t *loop, vigie_curl_done *done);

/* Where transfers are added to and removed from, and options set other than those for sockets and timers. */
CURLM *vigie_curl_loop_multi(struct vigie_curl_loop *curl);

/* All transfers must have been removed, and no call from here be under way. Closes the connections; the
 * memory goes when the uv loop has closed the handles. */
void vigie_curl_loop_close(struct vigie_curl_loop *curl);

#endif

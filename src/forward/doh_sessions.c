#include "doh_sessions.h"

#include <pthread.h>
#include <stdlib.h>

struct doh_sessions {
	CURLSH *share;
	pthread_mutex_t lock; /* held for as long as a handshake takes to look one up, or to leave one */
};

static void on_lock(CURL *easy, curl_lock_data data, curl_lock_access access, void *argument)
{
	pthread_mutex_lock(&((struct doh_sessions *)argument)->lock);
}

static void on_unlock(CURL *easy, curl_lock_data data, void *argument)
{
	pthread_mutex_unlock(&((struct doh_sessions *)argument)->lock);
}

struct doh_sessions *doh_sessions_new(void)
{
	struct doh_sessions *sessions = calloc(1, sizeof(*sessions));

	if (!sessions)
		return NULL;
	pthread_mutex_init(&sessions->lock, NULL);
	sessions->share = curl_share_init();
	if (!sessions->share || curl_share_setopt(sessions->share, CURLSHOPT_LOCKFUNC, on_lock) ||
	    curl_share_setopt(sessions->share, CURLSHOPT_UNLOCKFUNC, on_unlock) ||
	    curl_share_setopt(sessions->share, CURLSHOPT_USERDATA, sessions) ||
	    curl_share_setopt(sessions->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION)) {
		doh_sessions_free(sessions);
		return NULL;
	}
	return sessions;
}

void doh_sessions_free(struct doh_sessions *sessions)
{
	if (!sessions)
		return;
	curl_share_cleanup(sessions->share);
	pthread_mutex_destroy(&sessions->lock);
	free(sessions);
}

void doh_sessions_use(struct doh_sessions *sessions, CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_SHARE, sessions->share);
}

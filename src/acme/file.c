#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum vigie_status acme_make_folder(const char *path, struct vigie_error *error)
{
	char *copy = strdup(path);
	struct stat folder;

	if (!copy)
		return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
	for (char *at = copy + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		mkdir(copy, 0700); /* that it failed shows in the end */
		*at = '/';
	}
	free(copy);
	if (mkdir(path, 0700) && (errno != EEXIST || stat(path, &folder) || !S_ISDIR(folder.st_mode)))
		return vigie_error_set(error, VIGIE_EIO, "cannot make the folder '%.256s': %s", path,
				       strerror(errno));
	return VIGIE_OK;
}

EVP_PKEY *acme_read_key(const char *path)
{
	FILE *file = fopen(path, "re");
	EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;

	if (file)
		fclose(file);
	return key;
}

X509 *acme_read_certificate(const char *path)
{
	FILE *file = fopen(path, "re");
	X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

	if (file)
		fclose(file);
	return certificate;
}

bool acme_has_certificates(const char *path)
{
	X509 *certificate = acme_read_certificate(path);

	X509_free(certificate);
	ERR_clear_error();
	return certificate != NULL;
}

enum vigie_status acme_write(const char *path, EVP_PKEY *key, const char *chain, struct vigie_error *error)
{
	char *temporary = NULL;
	FILE *file = NULL;
	bool good = false;
	int fd;

	if (asprintf(&temporary, "%s.new", path) < 0)
		return vigie_error_set(error, VIGIE_ENOMEM, "%s", vigie_status_text(VIGIE_ENOMEM));
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		file = fdopen(fd, "w");
	if (file) {
		good = PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		       (!chain || fputs(chain, file) >= 0) && fflush(file) == 0 && fsync(fd) == 0;
		good = fclose(file) == 0 && good && rename(temporary, path) == 0;
	}
	if (!good)
		vigie_error_set(error, VIGIE_EIO, "cannot write '%.256s': %s", path, strerror(errno));
	free(temporary);
	return good ? VIGIE_OK : VIGIE_EIO;
}

bool acme_covers(X509 *certificate, const char *const *domains, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		/* A wildcard is looked for by a name that it holds. */
		const char *domain = domains[i];
		char name[300];

		snprintf(name, sizeof(name), "%s%s", domain[0] == '*' ? "x" : "",
			 domain[0] == '*' ? domain + 1 : domain);
		if (X509_check_host(certificate, name, 0, 0, NULL) != 1)
			return false;
	}
	return true;
}

bool acme_fits(const char *chain, EVP_PKEY *key, const char *const *domains, size_t count)
{
	BIO *memory = BIO_new_mem_buf(chain, -1);
	X509 *certificate = memory ? PEM_read_bio_X509(memory, NULL, NULL, NULL) : NULL;
	bool fits = certificate && X509_check_private_key(certificate, key) == 1 &&
		    acme_covers(certificate, domains, count);

	X509_free(certificate);
	BIO_free(memory);
	return fits;
}

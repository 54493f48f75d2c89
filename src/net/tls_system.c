/*
 * The system's CAs, read once for every context that trusts them: they are
 * hundreds, which cost a MB and tens of milliseconds each time. A new context
 * has those that are there when it is made, so where the bundle or the
 * directories are not what they were, they are read anew. The last ones stay
 * for as long as the process.
 */
#include "config.h"

#include <sys/stat.h>

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "net/tls_priv.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static X509_STORE *last; /* NULL: none was asked for */
static uint64_t last_state;

/* FNV-1a. */
static uint64_t
fold(uint64_t sum, const void *data, size_t length)
{
	const unsigned char *byte = data;

	while (length-- > 0)
		sum = (sum ^ *byte++) * UINT64_C(0x100000001b3);
	return sum;
}

static uint64_t
fold_path(uint64_t sum, const char *path, size_t length)
{
	char *copy = strndup(path, length);
	struct stat is;

	if (copy != NULL && stat(copy, &is) == 0) {
		sum = fold(sum, &is.st_dev, sizeof(is.st_dev));
		sum = fold(sum, &is.st_ino, sizeof(is.st_ino));
		sum = fold(sum, &is.st_size, sizeof(is.st_size));
		sum = fold(sum, &is.st_mtim, sizeof(is.st_mtim));
		sum = fold(sum, &is.st_ctim, sizeof(is.st_ctim));
	}
	free(copy);
	return fold(sum, path, length);
}

/* Where OpenSSL looks, and what is there. */
static uint64_t
state_now(void)
{
	const char *file = secure_getenv(X509_get_default_cert_file_env());
	const char *folders = secure_getenv(X509_get_default_cert_dir_env());
	uint64_t sum = UINT64_C(0xcbf29ce484222325);
	size_t n;

	if (file == NULL)
		file = X509_get_default_cert_file();
	if (folders == NULL)
		folders = X509_get_default_cert_dir();
	sum = fold_path(sum, file, strlen(file));
	for (;; folders += n + 1) {
		n = strcspn(folders, ":");
		sum = fold_path(sum, folders, n);
		if (folders[n] == '\0')
			return sum;
	}
}

bool
weir__tls_trust_system(SSL_CTX *ssl)
{
	uint64_t state = state_now();
	X509_STORE *store;
	bool done = false;

	(void)pthread_mutex_lock(&lock);
	if (last == NULL || state != last_state) {
		store = X509_STORE_new();
		if (store != NULL && X509_STORE_set_default_paths(store) == 1) {
			X509_STORE_free(last);
			last = store;
			last_state = state;
			done = true;
		} else {
			X509_STORE_free(store);
		}
	} else {
		done = true;
	}
	if (done)
		SSL_CTX_set1_cert_store(ssl, last);
	(void)pthread_mutex_unlock(&lock);
	return done;
}

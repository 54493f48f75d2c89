/*
 * The first process of a container is given every process there whose parent
 * has ended: of pipe = exec, what a shell had started when it was killed. It
 * promises that none of them stays a zombie. Which children there are is read
 * in /proc, since to wait for any would take those that others wait for; where
 * there is no /proc they stay.
 */
#include "config.h"

#include "process/orphans.h"

#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/loop.h>

struct orphans {
	struct weir_signal *sigchld;
	bool (*is_ours)(pid_t pid, void *user);
	void *user;
};

static void
on_sigchld(struct weir_signal *signal, int signo, void *user)
{
	struct orphans *orphans = user;
	FILE *file = fopen("/proc/thread-self/children", "re");
	long pid;

	(void)signal;
	(void)signo;
	while (file != NULL && fscanf(file, "%ld", &pid) == 1)
		if (!orphans->is_ours((pid_t)pid, orphans->user))
			(void)waitpid((pid_t)pid, NULL, WNOHANG);
	if (file != NULL)
		(void)fclose(file);
}

int
orphans_new(struct orphans **ret, struct weir_loop *loop,
    bool (*is_ours)(pid_t pid, void *user), void *user)
{
	struct orphans *orphans = calloc(1, sizeof(*orphans));
	int err;

	*ret = orphans;
	if (orphans == NULL)
		return -ENOMEM;
	orphans->is_ours = is_ours;
	orphans->user = user;
	err = weir_signal_new(
	    &orphans->sigchld, loop, SIGCHLD, on_sigchld, orphans);
	if (err != 0) {
		free(orphans);
		*ret = NULL;
	}
	return err;
}

void
orphans_free(struct orphans *orphans)
{
	if (orphans == NULL)
		return;
	weir_signal_free(orphans->sigchld);
	free(orphans);
}

/*
 * The targets of pipe = TARGET. What they open becomes a socket like any
 * other, so that back-pressure, limits and ends are the library's affair.
 *
 * A program runs in a process group of its own. When its connection has ended
 * the group is asked to end, and made to after a while. The program is reaped
 * only then: while it is not, its number is the group's and nobody else's.
 * What it says on standard error goes to the log, a line each.
 */
#include "config.h"

#include "proxy/target.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/socket.h>

#include "config/config.h"
#include "log/log.h"
#include "proxy/proxy_priv.h"

/* Between SIGTERM and SIGKILL once drain_timeout is over: less than a master
 * waits for its workers then. */
#define CHILD_LATE_MS 1000

/* After SIGKILL, for the rest of standard error. */
#define CHILD_REST_MS 1000

/* ---- files ---- */

static int
open_file(const char *path)
{
	int fd = open(path,
	    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
	    0640);

	return fd == -1 ? -errno : fd;
}

static int
open_fifo(const char *path)
{
	struct stat st;
	int fd;

	if (mkfifo(path, 0660) == -1 && errno != EEXIST)
		return -errno;
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1)
		return -errno;
	if (fstat(fd, &st) == -1 || !S_ISFIFO(st.st_mode)) {
		(void)close(fd);
		return -EEXIST; /* it is there and is no FIFO */
	}
	return fd;
}

/* Opened anew, so that its mode is ours alone and no terminal or pipe that is
 * shared with others becomes non-blocking for them. */
static int
open_stdout(void)
{
	int fd = open("/proc/self/fd/1",
	    O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd == -1)
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return fd == -1 ? -errno : fd;
}

int
target_open(const struct config_listener *config, struct weir_socket *server)
{
	int fd, err;

	switch (config->target) {
	case CONFIG_TARGET_NULL:
		fd = open_file("/dev/null");
		break;
	case CONFIG_TARGET_FILE:
		fd = open_file(config->target_text);
		break;
	case CONFIG_TARGET_FIFO:
		fd = open_fifo(config->target_text);
		break;
	case CONFIG_TARGET_STDOUT:
		fd = open_stdout();
		break;
	default:
		return -EINVAL;
	}
	if (fd < 0)
		return fd;
	err = weir_socket_open_fd(server, fd, false, true);
	if (err != 0)
		(void)close(fd);
	return err;
}

/* ---- a child's standard error ---- */

static void
log_line(struct child *child)
{
	const struct log_field fields[] = {
	    LOG_T("listener", child->config->name),
	    LOG_N("pid", child->pid),
	    LOG_END,
	};

	if (child->line_length == 0)
		return;
	child->line[child->line_length] = '\0';
	child->line_length = 0;
	log_write(LOG_LEVEL_WARN, fields, "%s", child->line);
}

static void
add_to_line(struct child *child, const char *bytes, size_t length)
{
	/* A longer line than fits goes on in the next. */
	if (child->line_length + length > sizeof(child->line) - 1)
		log_line(child);
	memcpy(child->line + child->line_length, bytes, length);
	child->line_length += length;
}

static void
on_error_data(
    struct weir_socket *socket, const void *data, size_t length, void *user)
{
	static const char nul[] = "\xe2\x90\x80"; /* its sign, U+2400 */
	struct child *child = user;
	const char *p = data;
	size_t i;

	(void)socket;
	for (i = 0; i < length; i++) {
		if (p[i] == '\n')
			log_line(child);
		else if (p[i] == '\0')
			add_to_line(child, nul, sizeof(nul) - 1);
		else if (p[i] != '\r')
			add_to_line(child, &p[i], 1);
	}
}

/* ---- a child's life ---- */

/* Whether none of its group is left. It has ended and is reaped here, as are
 * those of the group that came to be this process's, the first of a
 * container. */
static bool
group_is_empty(struct child *child)
{
	while (waitpid(-child->pid, NULL, WNOHANG) > 0)
		;
	child->reaped = true;
	return kill(-child->pid, 0) == -1 && errno == ESRCH;
}

/* Its number may be another's from here on. */
static void
forget(struct child *child)
{
	struct proxy *proxy = child->proxy;

	TAILQ_REMOVE(&proxy->children, child, next);
	board_child_set(proxy->board, proxy->worker, child->place, 0);
	if (!child->reaped)
		(void)waitpid(child->pid, NULL, WNOHANG);
}

/* The next step to its end, whenever something of it has ended. */
static void
go_on(struct child *child)
{
	if (!child->released || !child->gone)
		return;
	if (!child->killed && group_is_empty(child))
		child->killed = true;
	if (!child->killed || child->errors != NULL)
		return;
	forget(child);
	weir_timer_free(child->timer);
	config_unref(child->config->owner);
	free(child);
}

static void
close_errors(struct child *child)
{
	log_line(child);
	weir_socket_free(child->errors);
	child->errors = NULL;
}

static void
on_errors_closed(struct weir_socket *socket, int err, void *user)
{
	struct child *child = user;
	struct proxy *proxy = child->proxy;

	(void)socket;
	(void)err;
	close_errors(child);
	go_on(child);
	proxy_check_drained(proxy);
}

static const struct weir_socket_handlers error_handlers = {
    .on_data = on_error_data,
    .on_close = on_errors_closed,
};

/* What is left of the group ends now. */
static void
make_end(struct child *child)
{
	if (!child->killed)
		(void)kill(-child->pid, SIGKILL);
	child->killed = true;
}

static void
on_child_timer(struct weir_timer *timer, void *user)
{
	struct child *child = user;
	struct proxy *proxy = child->proxy;
	bool again = child->killed;

	make_end(child);
	/* Who holds its standard error open now is not of its group, and no
	 * longer our affair. */
	if (again || weir_timer_start(timer, CHILD_REST_MS) != 0)
		close_errors(child);
	go_on(child);
	proxy_check_drained(proxy);
}

/* How long a program may take to end by itself; once drain_timeout is over all
 * are to end soon. */
static uint64_t
grace_ms(const struct proxy *proxy)
{
	return proxy->late && proxy->child_grace_ms > CHILD_LATE_MS
		   ? CHILD_LATE_MS
		   : proxy->child_grace_ms;
}

void
target_hurry(struct proxy *proxy)
{
	struct child *child;

	TAILQ_FOREACH (child, &proxy->children, next)
		if (child->timer != NULL && !child->killed)
			(void)weir_timer_start(child->timer, grace_ms(proxy));
}

void
child_release(struct child *child)
{
	struct proxy *proxy = child->proxy;

	child->released = true;
	(void)kill(-child->pid, SIGTERM);
	if (weir_timer_new(&child->timer, proxy->loop, on_child_timer, child) !=
		0 ||
	    weir_timer_start(child->timer, grace_ms(proxy)) != 0) {
		make_end(child);
		close_errors(child);
	}
	go_on(child);
}

static bool
has_ended(const struct child *child)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)child->pid, &info,
		   WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == child->pid;
}

static void
on_sigchld(struct weir_signal *signal, int signo, void *user)
{
	struct proxy *proxy = user;
	struct child *child, *after;

	(void)signal;
	(void)signo;
	for (child = TAILQ_FIRST(&proxy->children); child != NULL;
	     child = after) {
		after = TAILQ_NEXT(child, next);
		if (!child->gone && !has_ended(child))
			continue;
		child->gone = true;
		go_on(child);
	}
	proxy_check_drained(proxy);
}

void
target_kill_all(struct proxy *proxy)
{
	struct child *child;

	while ((child = TAILQ_FIRST(&proxy->children)) != NULL) {
		make_end(child);
		forget(child);
		weir_socket_free(child->errors);
		weir_timer_free(child->timer);
		config_unref(child->config->owner);
		free(child);
	}
	weir_signal_free(proxy->sigchld);
	proxy->sigchld = NULL;
}

bool
target_has_child(const struct proxy *proxy, pid_t pid)
{
	const struct child *child;

	TAILQ_FOREACH (child, &proxy->children, next)
		if (child->pid == pid && !child->reaped)
			return true;
	return false;
}

/* ---- starting one ---- */

/*
 * In the child, which has this process's memory until it has become the
 * program: no more than system calls. Nothing of the daemon's signal handling
 * passes on; and it ends with this process, which may be killed before anybody
 * was told that there is a program.
 */
static void
become(char **argv, int io, int errors, pid_t parent)
{
	const struct sigaction standard = {.sa_handler = SIG_DFL};
	sigset_t none;
	int i;

	for (i = 1; i < NSIG; i++)
		(void)sigaction(i, &standard, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	if (setpgid(0, 0) == -1 || dup2(io, 0) == -1 || dup2(io, 1) == -1 ||
	    dup2(errors, 2) == -1)
		return;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execvp(argv[0], argv);
}

static int
spawn(pid_t *pid, char **argv, int io, int errors)
{
	pid_t parent = getpid();
	volatile int err = 0;
	sigset_t all, before;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	*pid = vfork();
	if (*pid == 0) {
		become(argv, io, errors, parent);
		err = -errno;
		_exit(127);
	}
	/* Where vfork() is no more than fork(), as under valgrind, the child
	 * may not have come to it; and its group is what is ended. */
	if (*pid > 0)
		(void)setpgid(*pid, *pid);
	if (*pid == -1)
		err = -errno;
	else if (err != 0)
		(void)waitpid(*pid, NULL, 0);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return err;
}

/* The parent's ends become sockets; fds that were taken over are set to -1. */
static int
attach(struct child *child, struct weir_socket *server, int *io, int *errors)
{
	int err;

	err = weir_socket_new(
	    &child->errors, child->proxy->loop, NULL, &error_handlers, child);
	if (err == 0)
		err = weir_socket_open_fd(child->errors, *errors, true, false);
	if (err != 0)
		return err;
	*errors = -1;
	weir_socket_unref(child->errors);
	err = weir_socket_open_fd(server, *io, true, true);
	if (err == 0)
		*io = -1;
	return err;
}

static int
start(struct child *child, const struct config_listener *config,
    struct weir_socket *server)
{
	int io[2] = {-1, -1}, errors[2] = {-1, -1}, err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, io) == -1)
		return -errno;
	if (pipe2(errors, O_CLOEXEC) == -1)
		err = -errno;
	else
		err = attach(child, server, &io[0], &errors[0]);
	if (err == 0)
		err = spawn(&child->pid, config->target_argv, io[1], errors[1]);
	if (io[0] != -1)
		(void)close(io[0]);
	if (errors[0] != -1)
		(void)close(errors[0]);
	(void)close(io[1]);
	if (errors[1] != -1)
		(void)close(errors[1]);
	return err;
}

int
target_exec(struct child **ret, struct proxy *proxy,
    const struct config_listener *config, struct weir_socket *server)
{
	struct child *child;
	int err;

	if (proxy->sigchld == NULL) {
		err = weir_signal_new(
		    &proxy->sigchld, proxy->loop, SIGCHLD, on_sigchld, proxy);
		if (err != 0)
			return err;
	}
	child = calloc(1, sizeof(*child));
	if (child == NULL)
		return -ENOMEM;
	child->proxy = proxy;
	child->config = config;
	(void)config_ref(config->owner);
	err = start(child, config, server);
	if (err != 0) {
		weir_socket_free(child->errors);
		config_unref(config->owner);
		free(child);
		return err;
	}
	child->place = board_child_add(proxy->board, proxy->worker, child->pid);
	TAILQ_INSERT_TAIL(&proxy->children, child, next);
	*ret = child;
	return 0;
}

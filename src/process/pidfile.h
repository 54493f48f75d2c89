/*
 * The pid file: there is one while the daemon serves, it holds the process id
 * in one line, and it is locked (flock) for as long as the process lives.
 * That lock, not the number in it, tells a living daemon's from a stale one.
 */
#ifndef PROCESS_PIDFILE_H
#define PROCESS_PIDFILE_H

struct pidfile;

/*
 * Remember where the file is to be, and look whether that is possible: a
 * file locked by another process is -EEXIST, "already running"; one that
 * holds anything but a process id, or is no regular file, is left alone
 * (-EINVAL). Nothing is written. The path may be relative; a later chdir()
 * does not matter, nor does a fork. *ret is the caller's, to pidfile_free().
 * Returns 0, or -errno with *error.
 */
int pidfile_new(struct pidfile **ret, const char *path, char **error);

/*
 * Write this process's id: the file appears whole and locked, in place of a
 * stale one. To be called before privileges are given up. Returns 0, or
 * -errno with *error as above.
 */
int pidfile_write(struct pidfile *pidfile, char **error);

/*
 * The same for a file that the program before this one wrote, and whose
 * descriptor, with its lock, it has passed on: pidfile_write() then puts this
 * process's id into it. -ESTALE where the file at path is another one; the
 * descriptor is the pidfile's with 0.
 */
int pidfile_adopt(struct pidfile **ret, const char *path, int fd, char **error);

/* The path as given, and the locked descriptor; -1 where it is not written. */
const char *pidfile_path(const struct pidfile *pidfile);
int pidfile_fd(const struct pidfile *pidfile);

/* Another process goes on with the file: it stays. */
void pidfile_leave(struct pidfile *pidfile);

/*
 * Remove the file where it is still the one that this very process wrote,
 * and free. Where its folder may no longer be written to, it is emptied
 * instead. NULL is fine.
 */
void pidfile_free(struct pidfile *pidfile);

#endif

/*
 * Becoming another user once the ports are bound.
 */
#ifndef PROCESS_PRIVILEGES_H
#define PROCESS_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

/* Whom to become. */
struct privileges {
	bool user_set, group_set; /* what was asked for */
	uid_t user;
	gid_t group; /* without group_set the user's own */
	char *name;  /* of the user, where it has one; owned */
};

/*
 * Look up user and group, by name or number; either may be NULL. With a user
 * and no group it is the user's own. Returns 0, -ENOENT or -ENOMEM with
 * *error.
 */
int privileges_find(
    struct privileges *ret, const char *user, const char *group, char **error);
void privileges_free(struct privileges *privileges);

/*
 * Become that user and group for good, with the supplementary groups of that
 * user (with a group alone: none), and verify it. Nothing is done where none
 * was asked for, or where that is what the process is already. All
 * capabilities go with root: ports below 1024 cannot be bound afterwards.
 * Returns 0, or -errno with *error; the process may then be half of both, and
 * must end.
 */
int privileges_drop(const struct privileges *privileges, char **error);

#endif

/* allow and deny: the first row that matches decides. */
#ifndef PROXY_ACL_H
#define PROXY_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct config_acl;
struct weir_address;

/* Who a client of a unix socket is. */
struct acl_user {
	bool known;
	uid_t uid;
	gid_t gid;
};

/* Whether the client may come. With an allow row and no match: no. */
bool acl_allows(const struct config_acl *rows, size_t count,
    const struct weir_address *client, const struct acl_user *user);

#endif

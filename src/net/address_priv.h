/* What the rest of libweir needs of addresses and has no place in public. */
#ifndef NET_ADDRESS_PRIV_H
#define NET_ADDRESS_PRIV_H

/* NULL, or what is wrong with a host name; numeric IPv4 is none. */
const char *weir__host_problem(const char *host);

#endif

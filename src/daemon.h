/* The daemon, from its command line to its exit status. */
#ifndef DAEMON_H
#define DAEMON_H

int weir_daemon_main(int argc, char **argv);

#endif

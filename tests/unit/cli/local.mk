# Tests of the top floor: the command line.
check_PROGRAMS += %D%/check_cli
%C%_check_cli_SOURCES = %D%/check_cli.c
%C%_check_cli_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_cli_LDADD = src/libdaemon.la $(CHECK_LIBS)

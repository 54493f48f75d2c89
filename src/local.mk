# Floor 6: the daemon. All but main() is a library, so that tests reach it.
noinst_LTLIBRARIES += %D%/libdaemon.la
%C%_libdaemon_la_LIBADD = src/control/libcontrol.la
%C%_libdaemon_la_SOURCES = %D%/cli.c %D%/cli.h %D%/daemon.c %D%/daemon.h \
    %D%/daemon_check.c %D%/daemon_priv.h %D%/daemon_reload.c \
    %D%/daemon_serve.c %D%/daemon_start.c %D%/daemon_upgrade.c

sbin_PROGRAMS += %D%/weir
%C%_weir_SOURCES = %D%/main.c
%C%_weir_CFLAGS = $(PROGRAM_CFLAGS)
%C%_weir_LDFLAGS = $(PROGRAM_LDFLAGS)
%C%_weir_LDADD = %D%/libdaemon.la libweir.la

# Tests of src/process, and of the units that run it.
check_PROGRAMS += \
    %D%/check_detach \
    %D%/check_failure \
    %D%/check_limits \
    %D%/check_listen_fds \
    %D%/check_notify \
    %D%/check_pidfile \
    %D%/check_privileges \
    %D%/check_signals

%C%_check_detach_SOURCES = %D%/check_detach.c
%C%_check_detach_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_detach_LDADD = src/process/libprocess.la $(CHECK_LIBS)

%C%_check_failure_SOURCES = %D%/check_failure.c
%C%_check_failure_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_failure_LDADD = src/process/libprocess.la $(CHECK_LIBS)

%C%_check_limits_SOURCES = %D%/check_limits.c
%C%_check_limits_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_limits_LDADD = src/process/libprocess.la $(CHECK_LIBS)

%C%_check_listen_fds_SOURCES = %D%/check_listen_fds.c
%C%_check_listen_fds_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_listen_fds_LDADD = src/process/libprocess.la $(CHECK_LIBS)

%C%_check_notify_SOURCES = %D%/check_notify.c
%C%_check_notify_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_notify_LDADD = src/process/libprocess.la $(CHECK_LIBS)

%C%_check_pidfile_SOURCES = %D%/check_pidfile.c
%C%_check_pidfile_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_pidfile_LDADD = src/process/libprocess.la $(CHECK_LIBS)

%C%_check_privileges_SOURCES = %D%/check_privileges.c
%C%_check_privileges_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_privileges_LDADD = src/process/libprocess.la $(CHECK_LIBS)

%C%_check_signals_SOURCES = %D%/check_signals.c
%C%_check_signals_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_signals_LDADD = src/process/libprocess.la $(CHECK_LIBS)

dist_check_SCRIPTS += %D%/check_units.sh
TESTS += %D%/check_units.sh

check_PROGRAMS += %D%/check_outbox
%C%_check_outbox_SOURCES = %D%/check_outbox.c
%C%_check_outbox_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_outbox_LDADD = src/process/libprocess.la $(CHECK_LIBS)

check_PROGRAMS += %D%/check_rows
%C%_check_rows_SOURCES = %D%/check_rows.c
%C%_check_rows_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_rows_LDADD = src/process/libprocess.la $(CHECK_LIBS)

check_PROGRAMS += %D%/check_wire
%C%_check_wire_SOURCES = %D%/check_wire.c
%C%_check_wire_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_wire_LDADD = src/process/libprocess.la libweir.la $(CHECK_LIBS)

check_PROGRAMS += %D%/check_mover
%C%_check_mover_SOURCES = %D%/check_mover.c \
    tests/unit/proxy/support.c tests/unit/proxy/support.h
%C%_check_mover_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) \
    -I$(top_srcdir)/tests/unit/proxy
%C%_check_mover_LDADD = src/process/libprocess.la libweir.la $(CHECK_LIBS)

check_PROGRAMS += %D%/check_program
%C%_check_program_SOURCES = %D%/check_program.c
%C%_check_program_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_program_LDADD = src/process/libprocess.la libweir.la $(CHECK_LIBS)

check_PROGRAMS += %D%/check_takeover
%C%_check_takeover_SOURCES = %D%/check_takeover.c
%C%_check_takeover_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_takeover_LDADD = src/process/libprocess.la libweir.la $(CHECK_LIBS)

check_PROGRAMS += %D%/check_store
%C%_check_store_SOURCES = %D%/check_store.c \
    tests/unit/proxy/support.c tests/unit/proxy/support.h
%C%_check_store_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) \
    -I$(top_srcdir)/tests/unit/proxy
%C%_check_store_LDADD = src/process/libprocess.la libweir.la $(CHECK_LIBS)

check_PROGRAMS += %D%/check_reload
%C%_check_reload_SOURCES = %D%/check_reload.c \
    tests/unit/proxy/support.c tests/unit/proxy/support.h
%C%_check_reload_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) \
    -I$(top_srcdir)/tests/unit/proxy
%C%_check_reload_LDADD = src/process/libprocess.la libweir.la $(CHECK_LIBS)

check_PROGRAMS += %D%/check_migrate
%C%_check_migrate_SOURCES = %D%/check_migrate.c \
    tests/unit/proxy/support.c tests/unit/proxy/support.h
%C%_check_migrate_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) \
    -I$(top_srcdir)/tests/unit/proxy
%C%_check_migrate_LDADD = src/process/libprocess.la libweir.la $(CHECK_LIBS)

# Its allocations can be refused, as those of tests/unit/proxy/check_memory.
check_PROGRAMS += %D%/check_memory
%C%_check_memory_SOURCES = %D%/check_memory.c \
    tests/unit/proxy/support.c tests/unit/proxy/support.h
%C%_check_memory_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) \
    -I$(top_srcdir)/tests/unit/proxy
%C%_check_memory_LDFLAGS = $(AM_LDFLAGS) -static -Wl,--wrap=malloc \
    -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=reallocarray \
    -Wl,--wrap=strdup
%C%_check_memory_LDADD = src/process/libprocess.la libweir.la $(CHECK_LIBS)

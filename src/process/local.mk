# Floor 4: what concerns the process.
noinst_LTLIBRARIES += %D%/libprocess.la
%C%_libprocess_la_LIBADD = src/proxy/libproxy.la
%C%_libprocess_la_SOURCES = %D%/detach.c %D%/detach.h %D%/failure.c \
    %D%/failure.h %D%/limits.c %D%/limits.h %D%/listen_fds.c \
    %D%/listen_fds.h %D%/notify.c %D%/notify.h %D%/orphans.c \
    %D%/orphans.h %D%/pidfile.c \
    %D%/pidfile.h %D%/privileges.c %D%/privileges.h %D%/signals.c \
    %D%/signals.h %D%/store.c %D%/store.h

# The processes that serve.
%C%_libprocess_la_SOURCES += %D%/fleet.c %D%/fleet.h %D%/fleet_call.c \
    %D%/fleet_fork.c %D%/fleet_master.c %D%/fleet_priv.h \
    %D%/fleet_worker.c %D%/outbox.c %D%/outbox.h %D%/rows.c %D%/rows.h

# Another configuration.
%C%_libprocess_la_SOURCES += %D%/reload.c %D%/reload.h %D%/reload_priv.h \
    %D%/reload_result.c

# Another program.
%C%_libprocess_la_SOURCES += %D%/migrate.c %D%/migrate.h %D%/mover.c \
    %D%/mover.h %D%/mover_give.c %D%/mover_priv.h %D%/mover_take.c \
    %D%/program.c %D%/program.h %D%/takeover.c %D%/takeover.h \
    %D%/upgrade.c %D%/upgrade.h %D%/wire.c %D%/wire.h

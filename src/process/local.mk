# Floor 4: what concerns the process.
noinst_LTLIBRARIES += %D%/libprocess.la
%C%_libprocess_la_LIBADD = src/proxy/libproxy.la
%C%_libprocess_la_SOURCES = %D%/detach.c %D%/detach.h %D%/failure.c \
    %D%/failure.h %D%/fleet.c %D%/fleet.h %D%/limits.c %D%/limits.h %D%/listen_fds.c \
    %D%/listen_fds.h %D%/migrate.c %D%/migrate.h %D%/mover.c %D%/mover.h %D%/notify.c %D%/notify.h %D%/pidfile.c %D%/pidfile.h \
    %D%/reload.c %D%/reload.h \
    %D%/reload_priv.h %D%/reload_result.c %D%/privileges.c %D%/privileges.h %D%/program.c %D%/program.h %D%/signals.c %D%/signals.h %D%/store.c %D%/store.h %D%/takeover.c %D%/takeover.h \
    %D%/upgrade.c %D%/upgrade.h %D%/wire.c %D%/wire.h

# The processes that serve.
%C%_libprocess_la_SOURCES += %D%/fleet_call.c %D%/fleet_master.c \
    %D%/fleet_priv.h %D%/fleet_worker.c %D%/outbox.c %D%/outbox.h %D%/rows.c \
    %D%/rows.h

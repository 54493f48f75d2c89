# Floor 4: what concerns the process.
noinst_LTLIBRARIES += %D%/libprocess.la
%C%_libprocess_la_LIBADD = src/proxy/libproxy.la
%C%_libprocess_la_SOURCES = %D%/detach.c %D%/detach.h %D%/failure.c \
    %D%/failure.h %D%/limits.c %D%/limits.h %D%/listen_fds.c \
    %D%/listen_fds.h %D%/notify.c %D%/notify.h %D%/pidfile.c %D%/pidfile.h \
    %D%/privileges.c %D%/privileges.h %D%/signals.c %D%/signals.h

# Floor 3: listeners and sessions.
noinst_LTLIBRARIES += %D%/libproxy.la
%C%_libproxy_la_LIBADD = src/config/libconfig.la src/log/liblog.la
%C%_libproxy_la_SOURCES = %D%/acl.c %D%/acl.h %D%/figures.c \
    %D%/listener.c %D%/listener.h %D%/proxy.c %D%/proxy.h %D%/proxy_priv.h \
    %D%/session.c %D%/session.h %D%/session_log.c %D%/session_log.h \
    %D%/sources.c %D%/sources.h %D%/target.c %D%/target.h

# Floor 3: listeners and sessions.
noinst_LTLIBRARIES += %D%/libproxy.la
%C%_libproxy_la_LIBADD = src/config/libconfig.la src/log/liblog.la
%C%_libproxy_la_SOURCES =

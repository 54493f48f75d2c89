# Floor 4: what concerns the process.
noinst_LTLIBRARIES += %D%/libprocess.la
%C%_libprocess_la_LIBADD = src/proxy/libproxy.la
%C%_libprocess_la_SOURCES =

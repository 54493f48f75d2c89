# unit tests: proto
check_PROGRAMS += %D%/check_hello %D%/check_proxy_header
%C%_check_hello_SOURCES = %D%/check_hello.c
%C%_check_hello_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_hello_LDADD = src/proto/libproto.la $(CHECK_LIBS)

%C%_check_proxy_header_SOURCES = %D%/check_proxy_header.c
%C%_check_proxy_header_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_proxy_header_LDADD = src/proto/libproto.la libweir.la $(CHECK_LIBS)

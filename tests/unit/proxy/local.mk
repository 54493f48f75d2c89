# Tests of src/proxy: a real proxy on a loop, and real sockets.
PROXY_CHECK_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
PROXY_CHECK_LDADD = src/proxy/libproxy.la $(CHECK_LIBS)
PROXY_CHECK_SUPPORT = %D%/support.c %D%/support.h

check_PROGRAMS += %D%/check_acl
%C%_check_acl_SOURCES = %D%/check_acl.c $(PROXY_CHECK_SUPPORT)
%C%_check_acl_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_acl_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_session
%C%_check_session_SOURCES = %D%/check_session.c $(PROXY_CHECK_SUPPORT)
%C%_check_session_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_session_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_sources
%C%_check_sources_SOURCES = %D%/check_sources.c $(PROXY_CHECK_SUPPORT)
%C%_check_sources_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_sources_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_target
%C%_check_target_SOURCES = %D%/check_target.c $(PROXY_CHECK_SUPPORT)
%C%_check_target_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_target_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_listener
%C%_check_listener_SOURCES = %D%/check_listener.c $(PROXY_CHECK_SUPPORT)
%C%_check_listener_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_listener_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_proxy
%C%_check_proxy_SOURCES = %D%/check_proxy.c $(PROXY_CHECK_SUPPORT)
%C%_check_proxy_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_proxy_LDADD = $(PROXY_CHECK_LDADD)

# Tests of src/proxy: a real proxy on a loop, and real sockets.
PROXY_CHECK_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
PROXY_CHECK_LDADD = src/proxy/libproxy.la $(CHECK_LIBS)
PROXY_CHECK_SUPPORT = %D%/support.c %D%/support.h

check_PROGRAMS += %D%/check_acl
%C%_check_acl_SOURCES = %D%/check_acl.c $(PROXY_CHECK_SUPPORT)
%C%_check_acl_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_acl_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_balance
%C%_check_balance_SOURCES = %D%/check_balance.c $(PROXY_CHECK_SUPPORT)
%C%_check_balance_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_balance_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_board
%C%_check_board_SOURCES = %D%/check_board.c $(PROXY_CHECK_SUPPORT)
%C%_check_board_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_board_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_deadlines
%C%_check_deadlines_SOURCES = %D%/check_deadlines.c $(PROXY_CHECK_SUPPORT)
%C%_check_deadlines_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_deadlines_LDADD = $(PROXY_CHECK_LDADD)

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

# Its allocations can be refused, one after the other; so that those of
# libweir are among them, that is linked in (-static is libtool's).
check_PROGRAMS += %D%/check_memory
%C%_check_memory_SOURCES = %D%/check_memory.c $(PROXY_CHECK_SUPPORT)
%C%_check_memory_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_memory_LDFLAGS = $(AM_LDFLAGS) -static -Wl,--wrap=malloc \
    -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=strdup \
    -Wl,--wrap=evbuffer_new -Wl,--wrap=evbuffer_add
%C%_check_memory_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_figures
%C%_check_figures_SOURCES = %D%/check_figures.c $(PROXY_CHECK_SUPPORT)
%C%_check_figures_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_figures_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_session_log
%C%_check_session_log_SOURCES = %D%/check_session_log.c $(PROXY_CHECK_SUPPORT)
%C%_check_session_log_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_session_log_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_walk
%C%_check_walk_SOURCES = %D%/check_walk.c $(PROXY_CHECK_SUPPORT)
%C%_check_walk_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_walk_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_room
%C%_check_room_SOURCES = %D%/check_room.c $(PROXY_CHECK_SUPPORT)
%C%_check_room_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_room_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_server_state
%C%_check_server_state_SOURCES = %D%/check_server_state.c $(PROXY_CHECK_SUPPORT)
%C%_check_server_state_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_server_state_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_upstream
%C%_check_upstream_SOURCES = %D%/check_upstream.c $(PROXY_CHECK_SUPPORT)
%C%_check_upstream_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_upstream_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_session_front
%C%_check_session_front_SOURCES = %D%/check_session_front.c $(PROXY_CHECK_SUPPORT)
%C%_check_session_front_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_session_front_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_reload
%C%_check_reload_SOURCES = %D%/check_reload.c $(PROXY_CHECK_SUPPORT)
%C%_check_reload_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_reload_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_session_move
%C%_check_session_move_SOURCES = %D%/check_session_move.c $(PROXY_CHECK_SUPPORT)
%C%_check_session_move_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_session_move_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_handed
%C%_check_handed_SOURCES = %D%/check_handed.c $(PROXY_CHECK_SUPPORT)
%C%_check_handed_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_handed_LDADD = $(PROXY_CHECK_LDADD)

check_PROGRAMS += %D%/check_listener_bind
%C%_check_listener_bind_SOURCES = %D%/check_listener_bind.c $(PROXY_CHECK_SUPPORT)
%C%_check_listener_bind_CPPFLAGS = $(PROXY_CHECK_CPPFLAGS)
%C%_check_listener_bind_LDADD = $(PROXY_CHECK_LDADD)

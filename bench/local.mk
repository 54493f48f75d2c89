# Measurements: "make bench" compares with the proxies that are installed and
# counts instructions, "make bench-instructions" counts alone. BENCH_FLAGS are
# compare.py's, --work=rtt,conn --rounds=7 say.
EXTRA_PROGRAMS += bench/peer bench/bound
bench_peer_SOURCES = %D%/peer.c
bench_bound_SOURCES = %D%/bound.c
CLEANFILES += bench/peer$(EXEEXT) bench/bound$(EXEEXT)
EXTRA_DIST += %D%/compare.py %D%/idle.py %D%/instructions.py \
    %D%/instructions.txt %D%/pause.py %D%/reload.py %D%/front.py \
    %D%/proxies.py

# pause.py is started by hand: the pauses that a client sees while weir is
# reloaded or upgraded, beside others. So is reload.py: what a reload costs with
# many listeners, and memory after many; and front.py: what looking at a hello and
# sending a PROXY header cost.
.PHONY: bench bench-instructions
bench: all bench/peer$(EXEEXT) bench/bound$(EXEEXT)
	python3 $(srcdir)/%D%/compare.py --weir src/weir$(EXEEXT) \
	    --peer bench/peer$(EXEEXT) --bound bench/bound$(EXEEXT) \
	    $(BENCH_FLAGS)
	$(MAKE) bench-instructions

bench-instructions: all bench/peer$(EXEEXT)
	python3 $(srcdir)/%D%/instructions.py --weir src/weir$(EXEEXT) \
	    --peer bench/peer$(EXEEXT) --libtool ./libtool

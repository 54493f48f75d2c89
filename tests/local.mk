# Everything that "make check" runs: the guards of tools/, the unit tests (one
# program a module) and the integration tests (one file a subject), each an
# entry of its own, so that -j runs them side by side and
# "make check TESTS=tests/integration/test_echo.py" runs one.
if HAVE_CHECK
include %D%/unit/util/local.mk
include %D%/unit/proto/local.mk
include %D%/unit/log/local.mk
include %D%/unit/net/local.mk
include %D%/unit/config/local.mk
include %D%/unit/proxy/local.mk
include %D%/unit/process/local.mk
include %D%/unit/control/local.mk
include %D%/unit/cli/local.mk
endif
include %D%/api/local.mk
TESTS += $(check_PROGRAMS)

if HAVE_PYTEST
include %D%/integration/local.mk
endif

# What the tests are told: where the programs are, and how much longer than
# usual things may take. Whoever runs them may say otherwise.
if SANITIZERS
TESTS_TIME_SCALE = 4
else
TESTS_TIME_SCALE = 1
endif
AM_TESTS_ENVIRONMENT = \
    WEIR_TOP_SRCDIR='$(abs_top_srcdir)'; export WEIR_TOP_SRCDIR; \
    WEIR_TOP_BUILDDIR='$(abs_top_builddir)'; export WEIR_TOP_BUILDDIR; \
    : "$${WEIR_TIME_SCALE:=$(TESTS_TIME_SCALE)}"; export WEIR_TIME_SCALE; \
    : "$${CK_DEFAULT_TIMEOUT:=60}"; export CK_DEFAULT_TIMEOUT; \
    PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE; \
    CC='$(CC)'; export CC; NM='$(NM)'; export NM;

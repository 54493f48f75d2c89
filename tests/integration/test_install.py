"""What make install puts where, and that it can be used from there; and the
guards of the source tree, which must be able to fail."""

import os
import shutil
import subprocess

import pytest

from weirtest import BUILD, DEADLINE, SCALE, TOP, sanitized

# Sanitizers see nothing here that they do not see elsewhere: what is tested is
# make, the compiler and the shell.
pytestmark = [
    pytest.mark.skipif(not (BUILD / "Makefile").exists(),
                       reason="not run from a build folder"),
    pytest.mark.skipif(sanitized(), reason="the same as without sanitizers"),
]


def make(*args):
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "DESTDIR")}
    return subprocess.run(["make", "-s", "-C", str(BUILD), *args], env=env,
                          capture_output=True, text=True, timeout=60 * SCALE)


def variable(name):
    with open(BUILD / "Makefile") as f:
        for line in f:
            if line.startswith(f"{name} = "):
                return line.split(" = ", 1)[1].strip()
    raise AssertionError(f"no {name} in the Makefile")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    to = tmp_path_factory.mktemp("install")
    r = make("install", f"DESTDIR={to}")
    assert r.returncode == 0, r.stderr
    yield to
    shutil.rmtree(to)


def path(installed, text):
    for name in ("sysconfdir", "sbindir", "bindir", "libdir", "includedir",
                 "exec_prefix", "prefix"):
        text = text.replace("${%s}" % name, variable(name))
    while "${" in text:
        return path(installed, text)
    return installed / text.lstrip("/")


def test_programs_headers_library_and_configuration_are_installed(installed):
    for p in ("${sbindir}/weir", "${bindir}/weirctl", "${libdir}/libweir.so",
              "${libdir}/libweir.a", "${libdir}/pkgconfig/weir.pc",
              "${includedir}/weir/weir.h", "${includedir}/weir/version.h",
              "${sysconfdir}/weir/weir.conf"):
        assert path(installed, p).exists(), p


def library_path(installed):
    return {**os.environ, "LD_LIBRARY_PATH": str(path(installed, "${libdir}"))}


def test_the_installed_programs_run(installed):
    for p in ("${sbindir}/weir", "${bindir}/weirctl"):
        r = subprocess.run([path(installed, p), "-V"], text=True,
                           capture_output=True, timeout=DEADLINE,
                           env=library_path(installed))
        assert r.returncode == 0, r.stderr
    r = subprocess.run([path(installed, "${sbindir}/weir"), "-t", "-c",
                        path(installed, "${sysconfdir}/weir/weir.conf")],
                       capture_output=True, text=True, timeout=DEADLINE,
                       env=library_path(installed))
    assert r.returncode == 0, r.stderr


def build(installed, folder, source, std="c11"):
    """Build a program in folder as a user of the installed library does;
    returns the environment that it runs in."""
    env = {**library_path(installed),
           "PKG_CONFIG_PATH": str(path(installed, "${libdir}/pkgconfig")),
           "PKG_CONFIG_SYSROOT_DIR": str(installed)}
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "weir"],
                           env=env, capture_output=True, text=True, check=True)
    cc = os.environ.get("CC", "cc").split()
    r = subprocess.run([*cc, f"-std={std}", "-Wall", "-Wextra", "-Werror", "-o",
                        folder / source.stem, source, *flags.stdout.split()],
                       env=env, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    return env


def test_a_program_builds_against_the_installed_library(installed, folder):
    (folder / "p.c").write_text("""
#include <stdio.h>
#include <weir/weir.h>
int main(void)
{
	struct weir_loop *loop;
	if (weir_loop_new(&loop, NULL) != 0)
		return 1;
	printf("%s %s %d\\n", WEIR_VERSION, weir_version(), weir_is_ip("::1"));
	weir_loop_free(loop);
	return 0;
}
""")
    env = build(installed, folder, folder / "p.c")
    r = subprocess.run(["./p"], cwd=folder, env=env, capture_output=True,
                       text=True, check=True)
    version = variable("PACKAGE_VERSION")
    assert r.stdout == f"{version} {version} 6\n"


@pytest.mark.parametrize("source", sorted((TOP / "examples").glob("*.c")),
                         ids=lambda source: source.stem)
def test_each_example_builds_against_the_installed_library(installed, folder,
                                                         source):
    env = build(installed, folder, source, "gnu11")
    r = subprocess.run([folder / source.stem, "no address"], env=env,
                       capture_output=True, text=True, timeout=DEADLINE)
    assert r.returncode in (1, 2)
    assert r.stderr


def test_a_configuration_that_is_there_is_kept(tmp_path):
    conf = path(tmp_path, "${sysconfdir}/weir/weir.conf")
    conf.parent.mkdir(parents=True)
    conf.write_text("# mine\n")
    r = make("install-weir-conf", f"DESTDIR={tmp_path}")
    assert r.returncode == 0, r.stderr
    assert conf.read_text() == "# mine\n"
    r = make("uninstall-weir-conf", f"DESTDIR={tmp_path}")
    assert r.returncode == 0, r.stderr
    assert conf.read_text() == "# mine\n"
    shutil.copy(TOP / "etc" / "weir.conf", conf)
    assert make("uninstall-weir-conf", f"DESTDIR={tmp_path}").returncode == 0
    assert not conf.exists()


# ---- the guards ----

def guard(name, *args):
    return subprocess.run([TOP / "tools" / name, *map(str, args)],
                          capture_output=True, text=True, timeout=60 * SCALE)


@pytest.mark.parametrize("file,line,ok", [
    ("src/util/x.c", '#include "log/log.h"', False),
    ("src/util/x.c", '#include <weir/loop.h>', False),
    ("src/net/x.c", '#include "log/log.h"', False),
    ("src/net/x.c", '#include <event2/event.h>', True),
    ("src/proxy/x.c", '#include <event2/event.h>', False),
    ("src/proxy/x.c", '#include "net/socket_priv.h"', False),
    ("src/proxy/x.c", '#include "process/signals.h"', False),
    ("src/proxy/x.c", '#  include "config/config.h"', True),
    ("src/proxy/x.c", '#include "config/builder_priv.h"', False),
    ("src/config/x.c", '#include <ini.h>', True),
    ("src/log/x.c", '#include <ini.h>', False),
    ("src/log/x.c", '#include <jansson.h>', True),
    ("src/config/x.c", '#include <jansson.h>', False),
    ("src/config/x.c", '#include "log/log.h"', False),
    ("src/config/x.c", '#include "value.h"', False),
    ("src/daemon.c", '#include "control/command.h"', True),
    ("src/daemon.c", '#include "daemon.h"', True),
    ("src/control/x.c", '#include "daemon.h"', False),
    ("src/daemon.c", '#include <openssl/ssl.h>', False),
    ("src/weirctl/x.c", '#include "control/requests.h"', True),
    ("tests/unit/net/x.c", '#include "net/socket_priv.h"', True),
    ("tests/unit/util/x.c", '#include "net/socket_priv.h"', False),
    ("tests/api/x.c", '#include "net/socket_priv.h"', False),
    ("examples/x.c", '#include <weir/weir.h>', True),
    ("src/attic/x.c", '#include "util/text.h"', False),
])
def test_check_layers_finds_breaches(tmp_path, file, line, ok):
    (tmp_path / "src").mkdir()
    target = tmp_path / file
    target.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "src/daemon.h").write_text("/* of the top floor */\n")
    target.write_text(f'#include "config.h"\n\n{line}\n')
    r = guard("check-layers", tmp_path)
    assert r.returncode == (0 if ok else 1), r.stdout + r.stderr
    if not ok:
        assert file in r.stdout


def test_check_layers_of_nothing_is_no_success(tmp_path):
    assert guard("check-layers", tmp_path).returncode == 2
    (tmp_path / "src").mkdir()
    assert guard("check-layers", tmp_path).returncode == 2


def test_check_headers_finds_one_that_does_not_stand_alone(tmp_path):
    shutil.copytree(TOP / "include", tmp_path / "include")
    assert guard("check-headers", BUILD, tmp_path).returncode == 0
    for text in ("size_t weir_oops(void);\n", "void weir_oops(int class);\n"
                 "struct weir_e {};\n"):
        (tmp_path / "include/weir/oops.h").write_text(text)
        r = guard("check-headers", BUILD, tmp_path)
        assert r.returncode == 1
        assert "oops.h" in r.stdout


def test_check_exports_finds_what_is_missing(tmp_path):
    shutil.copytree(TOP / "include", tmp_path / "include")
    assert guard("check-exports", BUILD, tmp_path).returncode == 0
    header = tmp_path / "include/weir/resolve.h"
    text = header.read_text()
    header.write_text(text.replace("void weir_resolve_cancel", "void weir_gone"))
    r = guard("check-exports", BUILD, tmp_path)
    assert r.returncode == 1
    assert "weir_resolve_cancel is exported" in r.stdout
    assert "weir_gone is declared" in r.stdout


# Each is one mistake, and what must be said of it. All are made at once: the
# guard goes on after what it finds.
MISTAKES = [
    ("include/weir/loop.h", "uint64_t ms);", "uint32_t ms);",
     "weir_timer_start(struct weir_timer*timer,uint32_t ms)"),
    ("include/weir/server.h", "bool freebind;", "bool unheard_of;",
     "not in the manual: unheard_of"),
    ("include/weir/socket.h", "WEIR_HEX,", "WEIR_HEXES,",
     "no such constant: WEIR_HEX"),
    ("include/weir/error.h", "already piped", "piped already",
     "weir_e_already_piped already piped"),
    ("man/weir_pipe.3", ".Fn weir_socket_held", ".Fn weir_socket_hold",
     "no such function: weir_socket_hold"),
    ("man/weir_resolve.3", ".Nm weir_query_answer ,\n", "",
     "weir_resolve.3: NAME: missing or other in the manual"),
    ("examples/echo.c", "hello", "hallo", "libweir.3: not the code"),
    ("tests/traces/pipe-twice.scenario", "differs: a source", "differs: one",
     "difference: missing or other in the manual: one has one destination"),
]


def test_check_manual_finds_what_section_3_does_not_say(tmp_path):
    for name in ("etc", "examples", "include", "man", "src", "tests/traces",
                 "tools"):
        shutil.copytree(TOP / name, tmp_path / name)
    env = {**os.environ, "WEIR_TOP_SRCDIR": str(tmp_path),
           "WEIR_TOP_BUILDDIR": str(BUILD)}
    for file, old, new, _ in MISTAKES:
        target = tmp_path / file
        text = target.read_text()
        assert old in text
        target.write_text(text.replace(old, new))
    r = subprocess.run([tmp_path / "tools" / "check-manual"], env=env,
                       capture_output=True, text=True, timeout=60 * SCALE)
    assert r.returncode == 1, r.stderr
    missed = [told for _, _, _, told in MISTAKES if told not in r.stdout]
    assert not missed, r.stdout

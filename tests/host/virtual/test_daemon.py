"""The private pcscd: private indeed, and nothing is left of it."""

import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from apdu.errors import PcscUnavailableError
from host.virtual import parts
from host.virtual.daemon import PrivatePcscd

pytestmark = pytest.mark.pcsc

ROOT = Path(__file__).parents[3]

START_AND_END = """if True:
    import os, signal, sys
    from host.virtual.daemon import PrivatePcscd
    with PrivatePcscd() as pcscd:
        print(pcscd.pid, pcscd.directory, oct(pcscd.directory.stat().st_mode), flush=True)
        sys.stdin.read()
"""


def begin(*prefix: str) -> "subprocess.Popen[str]":
    """A process with a private pcscd, which ends it when its input ends."""
    pipe = subprocess.PIPE
    line = [*prefix, sys.executable, "-c", START_AND_END]
    return subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)


def said_by(process: "subprocess.Popen[str]") -> tuple[int, Path, str]:
    assert process.stdout is not None
    pid, directory, mode = process.stdout.readline().split()
    return int(pid), Path(directory), mode


def is_pcscd(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "comm").read_text() == "pcscd\n"
    except OSError:
        return False


def test_its_directory_is_for_its_owner_alone_and_nothing_is_left() -> None:
    process = begin()
    pid, directory, mode = said_by(process)
    assert is_pcscd(pid)
    assert mode == "0o40700"
    process.communicate(timeout=120)
    assert not is_pcscd(pid)
    assert not directory.exists()


def test_it_can_start_stop_and_start_again() -> None:
    with PrivatePcscd() as pcscd:
        first = pcscd.pid
        pcscd.stop()
        assert (pcscd.running, pcscd.pid) == (False, 0)
        pcscd.start()
        assert pcscd.running
        assert pcscd.pid != first


def test_a_second_one_in_the_same_process_is_declined() -> None:
    with PrivatePcscd(), pytest.raises(PcscUnavailableError, match="has a virtual reader already"), PrivatePcscd():
        pytest.fail("two of them")


def test_it_dies_with_its_owner_even_by_kill() -> None:
    process = begin()
    pid, directory, _ = said_by(process)
    waiting = os.pidfd_open(pid)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=120)
    assert ends(waiting)
    shutil.rmtree(directory)


def ends(process: int) -> bool:
    """Whether a process that is no child of ours ends, soon."""
    with os.fdopen(process):
        return bool(select.select([process], [], [], 10)[0])


def test_the_pcscd_of_the_system_is_not_touched() -> None:
    """In a mount namespace of the test's own, where /run/pcscd is that of another, running daemon."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    script = """set -e
        mount -t tmpfs tmpfs /run; mkdir /run/pcscd; cd /run/pcscd
        echo 4242 >pcscd.pid; echo socket >pcscd.comm
        before=$(ls -la --time-style=full-iso; cat *)
        "$@" </dev/null >/dev/null
        test "$before" = "$(ls -la --time-style=full-iso; cat *)"
    """
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{START_AND_END}"
    line = [*unshare, "sh", "-c", script, "sh", sys.executable, "-c", program]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_runs_for_a_user_without_privileges() -> None:
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    readable = subprocess.run([*prefix, sys.executable, "-c", "import apdu.errors"], cwd=ROOT, check=False)
    if readable.returncode:
        pytest.skip("this checkout cannot be read by another user")
    process = begin(*prefix)
    pid, directory, _ = said_by(process)
    assert is_pcscd(pid)
    assert directory.stat().st_uid != 0
    process.communicate(timeout=120)
    assert not is_pcscd(pid)
    assert not directory.exists()


@pytest.mark.parametrize(("missing", "package"), [("find_program", "pcscd"), ("find_driver", "vsmartcard-vpcd")])
def test_a_part_that_is_missing_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, missing: str, package: str
) -> None:
    monkeypatch.setattr(parts, missing, lambda _: None)
    with pytest.raises(PcscUnavailableError, match=f"sudo apt-get install {package} "), PrivatePcscd():
        pytest.fail("started")


def test_a_daemon_that_does_not_start_says_why_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pcscd = PrivatePcscd()
    monkeypatch.setattr("host.virtual.daemon.find_pcscd", lambda: Path("/bin/false"))
    with pytest.raises(PcscUnavailableError, match="did not start"), pcscd:
        pytest.fail("started")
    assert not pcscd.directory.exists()

"""A shell for tests: saifu in this process, which is fast, or in a process of its own, which is real."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from center.witness import WITNESS_VARIABLE
from saifu.cli import main

__all__ = ["PASSPHRASE", "PIN", "ROOT", "Ran", "Shell"]

ROOT = Path(__file__).parents[2]
PASSPHRASE, PIN = "a passphrase of some length", "86420975"
Changes = dict[str, str | None]
SECRETS = {"SAIFU_PASSPHRASE": PASSPHRASE, "SAIFU_PIN": PIN}


@dataclass(frozen=True)
class Ran:
    """What a command has left: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        (line,) = self.out.splitlines()
        document: dict[str, Any] = json.loads(line)
        return document

    @property
    def fault(self) -> str:
        """What is said of an error: one paragraph, on standard error, without a traceback."""
        assert self.code not in (0, 130)
        lines = [line for line in self.err.splitlines() if not line.startswith("warning:")]
        assert lines, "an error without a word"
        assert lines[0].startswith("saifu: "), self.err
        assert all(lines), "more than one paragraph"
        assert "Traceback" not in self.err + self.out
        return "\n".join(lines)[len("saifu: ") :]


class Shell:
    """A folder with a home in it, from which commands are given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def witness(self) -> Path:
        """Where the center's outer witness lies: it goes with the folder, when that is copied."""
        return self.folder / "witness"

    def _environment(self, changes: Changes) -> dict[str, str]:
        places = {"SAIFU_HOME": str(self.home), WITNESS_VARIABLE: str(self.witness)}
        wanted = {**os.environ, **places, **SECRETS, **changes}
        return {name: value for name, value in wanted.items() if value is not None}

    def run(self, *arguments: object, stdin: str | StringIO = "", env: Changes | None = None) -> Ran:
        """In this process; ``env`` are changes of the environment, None takes a variable away."""
        out, err, code = StringIO(), StringIO(), 0
        typed = StringIO(stdin) if isinstance(stdin, str) else stdin
        with (
            self._as_process([str(argument) for argument in arguments], typed, self._environment(env or {})),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        return Ran(code, out.getvalue(), err.getvalue())

    @contextmanager
    def _as_process(self, arguments: list[str], stdin: StringIO, environment: dict[str, str]) -> Iterator[None]:
        before = os.getcwd(), dict(os.environ), sys.argv, sys.stdin
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv, sys.stdin = ["saifu", *arguments], stdin
        try:
            yield
        finally:
            os.chdir(before[0])
            os.environ.clear()
            os.environ.update(before[1])
            sys.argv, sys.stdin = before[2], before[3]

    def good(self, *arguments: object, env: Changes | None = None) -> Ran:
        """In this process, and it must go well."""
        ran = self.run(*arguments, env=env)
        assert ran.code == 0, ran
        return ran

    def start(self, *arguments: object, env: Changes | None = None) -> "subprocess.Popen[str]":
        """A process of its own, in a session without a terminal."""
        return subprocess.Popen(
            [sys.executable, "-m", "saifu", *map(str, arguments)],
            cwd=self.folder,
            env=self._environment({"PYTHONPATH": str(ROOT), **(env or {})}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def process(self, *arguments: object, stdin: str = "", env: Changes | None = None) -> Ran:
        """A process of its own, to its end."""
        process = self.start(*arguments, env=env)
        out, err = process.communicate(stdin, timeout=60)
        return Ran(process.returncode, out, err)

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Mode and content of everything in the folder; lock files are empty and come and go."""
        return {
            str(path.relative_to(self.folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
            for path in sorted(self.folder.rglob("*"))
            if path.suffix != ".lock"
        }

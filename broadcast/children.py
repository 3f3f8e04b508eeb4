"""Child processes: the one place where they are started, and what of saifu's surroundings they get to know.

A PIN or a passphrase may stand in the environment (``SAIFU_PIN``, ``SAIFU_PASSPHRASE``, and what else is read by
``host.secrets_input``). A child inherits the environment unless somebody thinks of it, keeps it for as long as it runs,
and shows it to everybody of the same user in /proc/PID/environ, to its own children and in its crash reports. So nobody
is asked to think of it: each child is started here, and the house test forbids every other start. All that begins with
SAIFU_ is left out, but for the names in PASSED_ON, which are no secrets. So a secret that is invented tomorrow is left
out without a word here; only its name has to begin so, which the house test holds as well.

It stands in this room because that is the lowest one that starts programs: the bearers' for sound and pages.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["PASSED_ON", "environment", "run", "start"]

_OWN = "SAIFU_"
PASSED_ON = frozenset({"SAIFU_DURABLE", "SAIFU_HOME"})
"""Variables of saifu's own that a child may know."""


def environment(**more: str) -> dict[str, str]:
    """Return what a child gets to know: this environment with ``more``, without saifu's secrets."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN) or name in PASSED_ON}
    return kept | more


def start(
    command: Sequence[str],
    more: Mapping[str, str] | None = None,
    **options: Any,  # noqa: ANN401  (subprocess has some thirty)
) -> subprocess.Popen[bytes]:
    """Start a program, with ``more`` in its environment; ``options`` are subprocess.Popen's. Raises OSError."""
    return subprocess.Popen(command, env=environment(**(more or {})), **options)


def run(
    command: Sequence[str],
    more: Mapping[str, str] | None = None,
    **options: Any,  # noqa: ANN401
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end; ``options`` are subprocess.run's. Raises OSError, and what they make it raise."""
    return subprocess.run(command, env=environment(**(more or {})), **options)

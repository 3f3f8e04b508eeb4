"""What every test gets: hypothesis without deadlines; tests of PC/SC and of the air only where there is either."""

import importlib.util
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from center.witness import WITNESS_VARIABLE

# A shell starts a job in the background with Ctrl-C ignored, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Thousands of cards are made and thrown away here; tests/host/test_card_file.py is about what outlives a computer.
os.environ["SAIFU_DURABLE"] = "0"

settings.register_profile("saifu", deadline=None, print_blob=True)
settings.load_profile("saifu")


@pytest.fixture(autouse=True, scope="session")
def _witness_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Centers of tests leave their witnesses in no user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WITNESS_VARIABLE, str(tmp_path_factory.mktemp("witness")))
        yield


def missing_for_pcsc() -> list[str]:
    """Parts that a test marked ``pcsc`` needs and this machine lacks."""
    present = {
        "pyscard": importlib.util.find_spec("smartcard") is not None,
        "pcscd": shutil.which("pcscd", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin") is not None,
        "vsmartcard-vpcd": any(Path("/usr/lib").glob("**/libifdvpcd.so*")),
    }
    return [name for name, is_there in present.items() if not is_there]


def missing_for_air() -> list[str]:
    """Programs that a test marked ``air`` may need and this machine lacks."""
    path = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
    names = {"minimodem": "minimodem", "multimon-ng": "multimon-ng", "aplay": "alsa-utils", "mosquitto": "mosquitto"}
    return [package for name, package in names.items() if shutil.which(name, path=path) is None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``pcsc`` or ``air`` where a part is missing, and name the part."""
    for mark, missing_parts in (("pcsc", missing_for_pcsc), ("air", missing_for_air)):
        marked = [item for item in items if item.get_closest_marker(mark)]
        if marked and (missing := missing_parts()):
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(missing)}: make setup says how"))

"""What every test gets: hypothesis without deadlines, and PC/SC tests only where there is PC/SC."""

import importlib.util
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# A shell starts a job in the background with Ctrl-C ignored, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("saifu", deadline=None, print_blob=True)
settings.load_profile("saifu")


def missing_for_pcsc() -> list[str]:
    """Parts that a test marked ``pcsc`` needs and this machine lacks."""
    present = {
        "pyscard": importlib.util.find_spec("smartcard") is not None,
        "pcscd": shutil.which("pcscd", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin") is not None,
        "vsmartcard-vpcd": any(Path("/usr/lib").glob("**/libifdvpcd.so*")),
    }
    return [name for name, is_there in present.items() if not is_there]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``pcsc`` where a part is missing, and name the part."""
    marked = [item for item in items if item.get_closest_marker("pcsc")]
    if marked and (missing := missing_for_pcsc()):
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=f"needs {', '.join(missing)}: make setup says how"))

"""What the virtual reader takes from its surroundings."""

from pathlib import Path

import pytest

from host.virtual.parts import find_program


@pytest.mark.parametrize("path", [None, ""])
def test_no_program_is_taken_from_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str | None
) -> None:
    (tmp_path / "saifu-daemon").touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program("saifu-daemon") == tmp_path / "saifu-daemon"
    monkeypatch.delenv("PATH") if path is None else monkeypatch.setenv("PATH", path)
    assert find_program("saifu-daemon") is None

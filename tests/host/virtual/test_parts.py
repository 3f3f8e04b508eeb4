"""What the virtual reader takes from its surroundings, and what it passes on."""

from pathlib import Path

import pytest

from host.virtual.parts import environment, find_program


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


def test_what_saifu_is_told_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAIFU_PIN", "86420975")
    monkeypatch.setenv("LANG", "C")
    passed = environment(LANG="C.UTF-8", PYTHONPATH="/here")
    assert [name for name in passed if name.startswith("SAIFU_")] == []
    assert (passed["LANG"], passed["PYTHONPATH"], "PATH" in passed) == ("C.UTF-8", "/here", True)

"""``saifu center init``: a whole center or none, whatever happens in between."""

from pathlib import Path

import pytest

from center import cli
from tests.personalization.bureau import kill_at, posix_only
from tests.saifu.shell import Shell


def is_whole(shell: Shell) -> bool:
    """Whether there is a center; if there is, it must be one that works."""
    if not (shell.home / "center").exists():
        return False
    assert [card["role"] for card in shell.good("center", "cards", "--json").document["cards"]] == ["float"]
    shell.good("terminal", "import", shell.home / "center" / "trust.json")
    return True


@posix_only
def test_killed_at_any_moment_there_is_a_whole_center_or_none(tmp_path: Path) -> None:
    act, killed, whole = 1, True, []
    while killed:
        shell = Shell(tmp_path / str(act))
        shell.folder.mkdir()
        killed = kill_at(act, shell.folder, lambda: shell.good("center", "init"))  # noqa: B023  (runs at once)
        whole.append(is_whole(shell))
        if not whole[-1]:
            shell.good("center", "init")
            assert is_whole(shell)
        act += 1 if act < 12 else 4
    assert whole[0] is False
    assert whole[-1] is True
    assert whole == sorted(whole), "once it is whole it stays so"
    assert len(whole) > 15


def test_a_float_that_fails_leaves_nothing(empty: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "float.card")

    with monkeypatch.context() as patch:
        patch.setattr(cli, "create_float", fail)
        ran = empty.run("center", "init")
    assert (ran.code, ran.fault) == (9, "float.card: No space left on device")
    assert list(empty.home.iterdir()) == []
    empty.good("center", "init")
    assert is_whole(empty)


def test_amount_and_currency_are_those_that_were_asked_for(empty: Shell) -> None:
    document = empty.good("center", "init", "--currency", "jpy", "--float", "5000", "--json").document
    assert (document["currency"], document["float"], document["issuer"]) == ("JPY", 5000, 1)
    trusted = empty.good("terminal", "import", document["trust"])
    assert trusted.out == "this terminal trusts issuer 1, currency JPY\n"


def test_a_passphrase_comes_from_a_file_too(empty: Shell) -> None:
    (empty.folder / "secret").write_text("another one, longer\n")
    (empty.folder / "secret").chmod(0o600)
    empty.good("center", "init", "--passphrase-file", "secret", env={"SAIFU_PASSPHRASE": None})
    assert empty.run("center", "cards").code == 2
    empty.good("center", "cards", env={"SAIFU_PASSPHRASE": "another one, longer"})


def test_a_passphrase_file_that_others_can_read_is_warned_about(empty: Shell) -> None:
    (empty.folder / "secret").write_text("another one, longer\n")
    (empty.folder / "secret").chmod(0o644)
    ran = empty.good("center", "init", "--passphrase-file", "secret")
    assert ran.err == "warning: others can read secret (mode 644); do: chmod 600 secret\n"


def test_the_issuer_of_test_cards_is_nobodys_number(empty: Shell) -> None:
    assert empty.run("center", "init", "--issuer", "65535").code == 2
    empty.good("center", "init", "--issuer", "65534")

"""Every exit code of the table is reached by a command that really goes wrong in that way."""

import re
from collections.abc import Callable

import pytest

import apdu.errors
from apdu.commands import Ins
from apdu.errors import SaifuError
from apdu.messages import Head
from apdu.response import ResponseApdu
from apdu.signature import private_key
from apdu.status import StatusError
from applet_model.dispatch import HANDLERS
from applet_model.memory import Cut
from broadcast.edition import Edition
from host.model import CardFile
from saifu.exit_codes import EXIT_CODES, exit_code
from tests.saifu.shell import Ran, Shell

REMIT = ("remit", "1", "-r", "model:aoi.card", "--to", "model:botan.card")


def wrong_amount(shell: Shell, _: pytest.MonkeyPatch) -> Ran:
    return shell.run("remit", "much", *REMIT[2:])


def no_center(shell: Shell, _: pytest.MonkeyPatch) -> Ran:
    return shell.run("--home", "new", "center", "publish")


def no_reader(shell: Shell, _: pytest.MonkeyPatch) -> Ran:
    return shell.run("card", "show", "-r", "no such reader")


def too_little(shell: Shell, _: pytest.MonkeyPatch) -> Ran:
    return shell.run("remit", "300", *REMIT[2:])


def too_little_at_the_till(shell: Shell, _: pytest.MonkeyPatch) -> Ran:
    return shell.run("pos", "sell", "300", "-r", "model:aoi.card", "-m", "model:shop.card")


def card_pulled_out(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """The power fails in the second write of a card, in the middle of a command."""
    power_on = CardFile.power_on

    def shaky(card: CardFile) -> bytes:
        answer = power_on(card)
        card.tear(1, Cut.HALF)
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(CardFile, "power_on", shaky)
        ran = shell.run(*REMIT)
    shell.good(*REMIT)
    return ran


def forged_edition(shell: Shell, _: pytest.MonkeyPatch) -> Ran:
    head = Head(2, 1, 7, 1, 0xFFFFFFFF, 0, b"")
    forged = Edition.make(private_key(bytes(40)), head, [2])
    (shell.folder / "edition-7").write_bytes(forged.encode())
    return shell.run("terminal", "import", "edition-7")


def wrong_transport_keys(shell: Shell, _: pytest.MonkeyPatch) -> Ran:
    shell.good("personalize", "ceremony", "--name", "maker", "--version", "255")
    keys = ("--transport-keys", "keystore:maker")
    return shell.run("personalize", "one", "-r", "model:spare.card", "--holder", "Dai", *keys)


def endless_card(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """A card that has always one more byte to fetch."""
    with monkeypatch.context() as patch:
        patch.setattr(CardFile, "transmit", lambda *_: b"\x00\x61\x01")
        return shell.run("card", "show", "-r", "model:aoi.card")


def damaged_image(shell: Shell, _: pytest.MonkeyPatch) -> Ran:
    (shell.folder / "aoi.card").write_bytes(b"no card")
    return shell.run(*REMIT)


def no_place_to_write(shell: Shell, _: pytest.MonkeyPatch) -> Ran:
    return shell.run("--home", "aoi.card", "center", "init")


def demo_that_fails(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Ran:
    with monkeypatch.context() as patch:
        patch.setitem(HANDLERS, Ins.LOCK_OUT, lambda *_: ResponseApdu())
        return shell.run("demo")


def no_place_for_a_recording(shell: Shell, _: pytest.MonkeyPatch) -> Ran:
    return shell.run("center", "broadcast", "--air", "pager:nowhere/list.wav")


CASES: dict[Callable[[Shell, pytest.MonkeyPatch], Ran], tuple[int, str]] = {
    wrong_amount: (2, "amount 'much': write it in EUR"),
    no_center: (2, "there is no center here; if there was one, .*for a new one: saifu center init"),
    no_reader: (3, "saifu doctor|no reader"),
    too_little: (4, r"PAY: too little money \(9504\)"),
    too_little_at_the_till: (5, "holds 100.00 EUR, too little"),
    card_pulled_out: (6, "put the card in again: the transfer is found on it and finished, or was never made"),
    forged_edition: (7, "edition-7: "),
    wrong_transport_keys: (7, "its keys should be those of its maker"),
    endless_card: (8, "without an end"),
    damaged_image: (9, "aoi.card: this is not a card image"),
    no_place_to_write: (9, "aoi.card"),
    no_place_for_a_recording: (10, "nowhere/list.wav cannot be written"),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_exit_code(shell: Shell, monkeypatch: pytest.MonkeyPatch, case: Callable[..., Ran]) -> None:
    code, said = CASES[case]
    ran = case(shell, monkeypatch)
    assert ran.code == code, ran
    assert re.search(said, ran.fault), ran.fault


def test_a_demo_that_is_not_as_it_must_be_ends_with_1(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert demo_that_fails(shell, monkeypatch).code == 1


def test_success_is_0(shell: Shell) -> None:
    assert shell.run(*REMIT).code == 0


def test_every_code_of_the_table_is_reached() -> None:
    assert {code for code, _ in CASES.values()} | {1} == {code for code, _ in EXIT_CODES.values()}


def all_errors(kind: type[SaifuError] = SaifuError) -> list[type[SaifuError]]:
    return [kind, *(error for child in kind.__subclasses__() for error in all_errors(child))]


@pytest.mark.parametrize("kind", all_errors())
def test_every_error_has_the_code_of_its_nearest_kind(kind: type[SaifuError]) -> None:
    nearest = next(parent for parent in kind.__mro__ if parent in EXIT_CODES)
    error = kind.__new__(kind)
    assert exit_code(error) == EXIT_CODES[nearest][0]
    assert exit_code(error) in range(1, 11)


def test_every_error_that_the_tree_shows_is_more_than_just_an_error() -> None:
    tree = [getattr(apdu.errors, name) for name in apdu.errors.__all__]
    assert {kind.__name__ for kind in [*tree, StatusError] if exit_code(kind.__new__(kind)) == 1} == {"SaifuError"}

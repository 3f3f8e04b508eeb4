"""``--trace``: whatever a command says to cards is recorded, and no secret with it."""

from typing import Any

from apdu.commands import Ins
from apdu.protocol import Protocol
from apdu.trace import own
from apdu.trace.model import Exchange, Item, Reset
from applet_model.card import answer_to_reset
from host.replay import ReplaySlot, load
from tests.saifu.shell import Shell

PIN = b"2468".hex().upper().encode()


def items_of(shell: Shell) -> list[Item]:
    return list(own.decode((shell.folder / "t.jsonl").read_bytes().splitlines()))


def test_a_command_is_recorded_with_all_its_cards(shell: Shell) -> None:
    shell.good("--trace", "t.jsonl", "remit", "1.00", "-r", "model:aoi.card", "--to", "model:shop.card")
    items = items_of(shell)
    exchanges = [item for item in items if isinstance(item, Exchange)]
    assert {item.slot for item in items} == {"model:aoi.card", "model:shop.card"}
    assert sum(isinstance(item, Reset) for item in items) >= 2
    assert {Ins.SELECT, Ins.REQUEST, Ins.PAY, Ins.RECEIVE, Ins.SETTLE} <= {one.command[1] for one in exchanges}
    assert all(one.response for one in exchanges)


def test_recordings_of_several_commands_stand_one_after_the_other(shell: Shell) -> None:
    for _ in range(2):
        shell.good("--trace", "t.jsonl", "card", "show", "-r", "model:aoi.card")
    raw = (shell.folder / "t.jsonl").read_bytes()
    assert raw.count(own.FORMAT.encode()) == 2
    assert len([item for item in own.decode(raw.splitlines()) if isinstance(item, Reset)]) == 2


def test_no_secret_of_a_personalization_is_in_its_trace(shell: Shell) -> None:
    shell.good("--trace", "t.jsonl", "personalize", "one", "-r", "model:spare.card", "--holder", "Dai")
    assert PIN not in (shell.folder / "t.jsonl").read_bytes().upper()


def test_the_centers_float_is_recorded_beside_the_card_that_it_loads(shell: Shell) -> None:
    shell.good("--trace", "t.jsonl", "atm", "load", "1.00", "-r", "model:aoi.card")
    items = items_of(shell)
    assert {item.slot for item in items} == {"float", "model:aoi.card"}
    paid = [one for one in items if isinstance(one, Exchange) and one.command[1] == Ins.PAY]
    assert [one.slot for one in paid] == ["float"]


def test_the_demo_is_recorded_and_its_cards_play_again(empty: Shell) -> None:
    empty.good("--trace", "t.jsonl", "demo", "--json")
    items = items_of(empty)
    assert {item.slot for item in items} == {"float", "slot 1", "slot 2"}
    assert all(item.atr == answer_to_reset(Protocol.T1) for item in items if isinstance(item, Reset))
    assert {Ins.STORE_DATA, Ins.PAY, Ins.LOCK_OUT, Ins.UNLOCK} <= {
        item.command[1] for item in items if isinstance(item, Exchange)
    }
    assert PIN not in (empty.folder / "t.jsonl").read_bytes().upper()
    played = load(str(empty.folder / "t.jsonl"), "slot 2")
    slot = ReplaySlot(played)
    for session in played.sessions:
        connection = slot.connect()
        for _, said in session.exchanges:
            assert connection.transmit(said.command) == said.response


def test_a_card_is_shown_from_its_trace(shell: Shell) -> None:
    before = shell.good("--trace", "t.jsonl", "card", "show", "-r", "model:aoi.card").out
    (shell.folder / "aoi.card").unlink()
    assert shell.good("card", "show", "-r", "replay:t.jsonl").out == before
    ran = shell.run("card", "history", "-r", "replay:t.jsonl")
    assert ran.code == 8
    assert "replay:t.jsonl, item " in ran.fault


def test_without_the_option_nothing_is_recorded(shell: Shell) -> None:
    shell.good("--trace", "t.jsonl", "card", "show", "-r", "model:aoi.card")
    before = (shell.folder / "t.jsonl").read_bytes()
    shell.good("card", "show", "-r", "model:aoi.card")
    assert (shell.folder / "t.jsonl").read_bytes() == before


def test_a_trace_never_overwrites_something_else(shell: Shell) -> None:
    before = (shell.folder / "aoi.card").read_bytes()
    ran = shell.run("--trace", "aoi.card", "card", "show", "-r", "model:aoi.card")
    assert ran.code == 2
    assert "is there already" in ran.fault
    assert (shell.folder / "aoi.card").read_bytes() == before


def test_a_trace_is_shown_in_words_and_converted_there_and_back(shell: Shell) -> None:
    shell.good("--trace", "t.jsonl", "card", "show", "-r", "model:aoi.card")
    shown = shell.run("trace", "show", "t.jsonl").out
    assert "SELECT" in shown
    assert "→ 9000" in shown
    for form in ("gsmtap", "cardpeek", "apdu4j", "saifu"):
        shell.good("trace", "convert", "t.jsonl", f"t.{form}", "--to", form)
        again = shell.run("trace", "show", f"t.{form}", "--json").document
        assert again["form"] == form
        commands = [item["command"] for item in again["items"] if "command" in item]
        assert commands == [
            item["command"]
            for item in shell.run("trace", "show", "t.jsonl", "--json").document["items"]
            if "command" in item
        ]


def test_what_is_no_trace_or_cannot_be_written_is_told(shell: Shell) -> None:
    assert "aoi.card: this is no trace" in shell.run("trace", "show", "aoi.card").fault
    assert "cannot be read" in shell.run("trace", "show", "nothing").fault
    shell.good("--trace", "t.jsonl", "card", "show", "-r", "model:aoi.card")
    assert "not overwritten" in shell.run("trace", "convert", "t.jsonl", "aoi.card").fault
    assert "can be read, and not written" in shell.run("trace", "convert", "t.jsonl", "x", "--to", "gp").fault
    written = "the forms that are written are saifu, gsmtap, cardpeek, apdu4j, html"
    assert written in shell.run("trace", "convert", "t.jsonl", "x", "--to", "y").fault


def test_the_key_store_opens_the_channels_of_the_desks_own_cards(shell: Shell) -> None:
    shell.good("--trace", "t.jsonl", "personalize", "one", "-r", "model:spare.card", "--holder", "Chie")
    assert not [item for item in shown(shell) if "plain" in item]
    for keys in ("keystore", "keystore:cards"):
        opened = shown(shell, "--keys", keys)
        assert [item["plain"]["command"][:4] for item in opened if "plain" in item][:2] == ["8046", "80E2"]
        assert not any(item["unexpected"] for item in opened)
    shell.good("trace", "convert", "t.jsonl", "t.html", "--keys", "keystore")
    assert "command in clear" in (shell.folder / "t.html").read_text()
    shell.good("trace", "diff", "t.jsonl", "t.jsonl", "--keys", "keystore")


def shown(shell: Shell, *options: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = shell.good("trace", "show", "t.jsonl", "--json", *options).document["items"]
    return items


def test_a_key_store_that_does_not_open_is_told(shell: Shell) -> None:
    shell.good("--trace", "t.jsonl", "card", "show", "-r", "model:aoi.card")
    show = ("trace", "show", "t.jsonl", "--keys")
    assert "there is no key 'x'; there are: cards" in shell.run(*show, "keystore:x").fault
    assert "passphrase" in shell.run(*show, "keystore", env={"SAIFU_PASSPHRASE": "another one"}).fault
    (shell.home / "keystore.json").unlink()
    assert "saifu personalize ceremony" in shell.run(*show, "keystore").fault
    assert "keystore2 cannot be read" in shell.run(*show, "keystore2").fault


def test_keys_of_another_version_are_told_and_open_nothing(shell: Shell) -> None:
    shell.good("--trace", "t.jsonl", "personalize", "one", "-r", "model:spare.card", "--holder", "Chie")
    shell.good("personalize", "ceremony", "--name", "later", "--version", "2")
    opened = shown(shell, "--keys", "keystore:later")
    assert not [item for item in opened if "plain" in item and item["plain"]["command"] != item["command"]]
    assert ["the card has key version 1, key later is 2"] in [item["unexpected"] for item in opened]

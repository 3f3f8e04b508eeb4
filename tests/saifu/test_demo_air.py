"""The demo over the air and the line: the theft goes through the real bearer, or the demo says that it did not."""

from pathlib import Path

import pytest

from broadcast.bearers.sound_frame import FrameScanner
from center.editions import publish
from host.terminal.blacklist_store import BlacklistStore
from host.virtual import broker
from saifu.demo_air import Air, open_link
from tests.center.bank import Bank
from tests.saifu.shell import Shell

FRAME = 13
BEARERS = [
    pytest.param(Air.UDP, 184),
    pytest.param(Air.SOUND, 184, marks=pytest.mark.air),
    pytest.param(Air.PAGER, 120, marks=pytest.mark.air),
    pytest.param(Air.LINE, 184, marks=pytest.mark.air),
]


@pytest.mark.parametrize(("air", "symbol"), BEARERS)
def test_the_theft_goes_over_the_bearer(empty: Shell, air: Air, symbol: int) -> None:
    document = empty.run("demo", "--air", air.value, "--json").document
    assert document["ok"] is True
    published = next(step for step in document["steps"] if step["name"] == "edition_published")
    assert (published["edition"], published["listed"]) == (3, 1)
    assert published["packets"] >= 2
    assert published["bytes"] == published["packets"] * (symbol + FRAME)


def test_people_see_what_was_sent(empty: Shell) -> None:
    out = empty.run("demo", "--air", "udp").out
    assert "edition 3 is in force: 1 card listed" in out
    assert "udp: " in out
    assert "packets" in out


@pytest.mark.air
def test_what_nobody_hears_is_told(empty: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FrameScanner, "feed", lambda *_: [])
    ran = empty.run("demo", "--air", "sound")
    assert ran.code == 1
    assert "the terminal did not hear the edition" in " ".join(ran.out.replace("│", "").split())


def test_without_mosquitto_the_line_is_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "_PATH", str(tmp_path))
    bank, told = Bank(tmp_path / "center"), list[str]()
    publish(bank.center)
    store = BlacklistStore.import_trust(tmp_path / "terminal", bank.center.trust.encode())
    with open_link(Air.LINE, tmp_path / "air", told.append) as link:
        sent = link.carry(bank.center, store, lambda: bank.time)
    assert store.number == 1
    assert sent["packets"] >= 1
    assert told[0] == ("mosquitto, the MQTT broker, was not found; install the package mosquitto; so the line is HTTPS")

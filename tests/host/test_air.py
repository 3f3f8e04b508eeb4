"""Each bearer from the center's command to the terminal's: reports, editions, steps, keys that are rolled over."""

import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from apdu.identity import Role
from center.models import CardRow, ListedRow
from host.virtual.broker import Mosquitto
from host.virtual.certificates import Authority
from tests.host.town_shell import AOI, BOTAN, HANA, Sender, TownShell, free_port

air = pytest.mark.air
CARDS = 6000
CROWD = sorted(Random(1).sample(range(100, 100 + CARDS), 2000))
FULL = f"edition 1 is in force: {len(CROWD) + 1} cards listed, as a full list"


@dataclass
class Link:
    """What both commands are given for one bearer."""

    center: str
    terminal: str = ""
    center_options: list[object] = field(default_factory=list)
    terminal_options: list[object] = field(default_factory=list)

    @contextmanager
    def on_the_air(self, shell: TownShell) -> Iterator[None]:
        """What is published now is on the air; of a recording there is nothing more to send."""
        if self.center.startswith(("sound", "pager")):
            shell.recorded(self.center)
            yield
            return
        with shell.sending(self.center, *self.center_options) as sender:
            self._find(sender)
            yield
        assert sender.stop().code == 0

    def _find(self, sender: Sender) -> None:
        """A terminal gives what the center says, with the files that it needs."""
        self.terminal = sender.place
        if self.center.startswith("mqtt"):
            assert self.terminal == self.center

    def listen(self, terminal: TownShell, once: bool = True) -> list[str]:
        """Listen until what is on the air is in force; what was told."""
        options = ["--once"] if once else []
        ran = terminal.listen(self.terminal or self.center, *options, "--json", *self.terminal_options)
        assert ran.code == 0, ran
        told: list[str] = ran.document["told"]
        return told


@contextmanager
def udp(_: Path) -> Iterator[Link]:
    yield Link(f"udp::{free_port()}")


@contextmanager
def sound(_: Path) -> Iterator[Link]:
    yield Link("sound:list.wav")


@contextmanager
def pager(_: Path) -> Iterator[Link]:
    yield Link("pager:list.wav")


@contextmanager
def http(_: Path) -> Iterator[Link]:
    yield Link("http:0")


@contextmanager
def https(folder: Path) -> Iterator[Link]:
    authority = Authority.make(folder)
    certificate, key = authority.certify("127.0.0.1")
    yield Link("http:0", "", ["--certificate", certificate, "--key", key], ["--ca", authority.ca])


@contextmanager
def mqtt(folder: Path) -> Iterator[Link]:
    with Mosquitto(folder, needs_login=True) as broker:
        options: list[object] = ["--ca", broker.authority.ca, "--login-file", broker.login()]
        place = f"mqtt:127.0.0.1:{broker.port}"
        yield Link(place, place, options, options)


EVERY = [
    udp,
    pytest.param(sound, marks=air),
    pytest.param(pager, marks=air),
    http,
    https,
    pytest.param(mqtt, marks=air),
]


@pytest.fixture(scope="session")
def made_crowd(made_town: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The town with so many listed cards that a step is much shorter than the list."""
    folder = tmp_path_factory.mktemp("crowd") / "town"
    shutil.copytree(made_town, folder)
    center = TownShell(folder).center()
    with center.session() as session:
        session.add(CardRow(serial=99 + CARDS, role=Role.PERSON, holder="Last", allotted=0, chain=bytes(32)))
        session.add_all(ListedRow(serial=serial, reason="stolen", since=0) for serial in CROWD)
    center.close()
    return folder


@pytest.fixture
def shell(made_crowd: Path, tmp_path: Path) -> TownShell:
    shutil.copytree(made_crowd, tmp_path / "town")
    return TownShell(tmp_path / "town")


@pytest.fixture
def link(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Link]:
    with request.param(tmp_path_factory.mktemp("link")) as made:
        yield made


def by_step(number: int, more: int) -> str:
    return f"edition {number} is in force: {len(CROWD) + more} cards listed, by the step from edition {number - 1}"


@pytest.mark.parametrize("link", EVERY, indirect=True)
def test_a_stolen_card_is_listed_at_the_terminal_and_the_next_edition_is_a_step(shell: TownShell, link: Link) -> None:
    shell.publish(AOI)
    with link.on_the_air(shell):
        assert link.listen(shell) == [FULL]
    assert shell.listed == [AOI.serial, *CROWD]
    shell.publish(BOTAN)
    with link.on_the_air(shell):
        assert link.listen(shell) == [by_step(2, 2)]
    assert shell.listed == [AOI.serial, BOTAN.serial, *CROWD]


@pytest.mark.parametrize("link", EVERY, indirect=True)
def test_a_group_goes_over_to_a_new_key_terminal_by_terminal(shell: TownShell, link: Link) -> None:
    """Both hear while both keys are active; then who has not the new one is left behind, and keeps his list."""
    late = shell.terminal("late")
    shell.good("center", "roll-cipher-key", "--out", "both.json")
    shell.good("terminal", "import", "both.json")
    shell.publish(AOI)
    with link.on_the_air(shell):
        for terminal in (shell, late):
            link.listen(terminal)
            assert terminal.listed == [AOI.serial, *CROWD]
    shell.good("center", "retire-cipher-key", "1", "--out", "new.json")
    shell.publish(BOTAN)
    with link.on_the_air(shell):
        assert link.listen(shell) == [by_step(2, 2)]
        options = ["--air", link.terminal or link.center, "--seconds", "0.5", *link.terminal_options]
        left_behind = late.run("terminal", "listen", *options)
        # what it has is in date still; only HTTP can tell that there is no channel for its key
        assert left_behind.code == (10 if link.center.startswith("http") else 0), left_behind
        assert late.listed == [AOI.serial, *CROWD]
        late.good("terminal", "import", "new.json")
        assert link.listen(late) == [by_step(2, 2)]


@air
def test_a_broker_keeps_the_list_for_terminals_that_come_later(shell: TownShell, tmp_path: Path) -> None:
    shell.publish(AOI)
    with mqtt(tmp_path) as link:
        sent = shell.good("center", "broadcast", "-a", link.center, "--seconds", "0", "--json", *link.center_options)
        assert (sent.err, [one["kind"] for one in sent.document["objects"]]) == ("", ["full"])
        assert link.listen(shell) == [FULL]


@air
def test_a_line_with_a_wrong_password_or_certificate_says_so(shell: TownShell, tmp_path: Path) -> None:
    shell.publish(AOI)
    with Mosquitto(tmp_path, needs_login=True) as broker:
        place = f"mqtt:127.0.0.1:{broker.port}"
        login, stranger = broker.login(), Authority.make(tmp_path, "stranger")
        (tmp_path / "wrong").write_text("terminals\na wrong secret\n")
        wrong: list[tuple[list[object], str]] = [
            (["--ca", broker.authority.ca, "--login-file", tmp_path / "wrong"], "refuses.*login file"),
            (["--ca", broker.authority.ca], "refuses.*login file"),
            (["--ca", stranger.ca, "--login-file", login], "certificate is not trusted"),
        ]
        for options, said in wrong:
            for command in ("center broadcast", "terminal listen"):
                ran = shell.run(*command.split(), "--air", place, "--seconds", "1", *options)
                assert ran.code == 10, ran
                assert re.search(f"^saifu: .*{said}", ran.err, re.MULTILINE), ran.err
                assert not any(secret in ran.out + ran.err for secret in ("a wrong secret", "not so secret"))
    assert shell.store.edition is None


def test_https_without_its_ca_is_not_trusted(shell: TownShell, tmp_path: Path) -> None:
    shell.publish(AOI)
    with https(tmp_path) as link, link.on_the_air(shell):
        assert link.terminal.startswith("https://127.0.0.1:")
        ran = shell.listen(link.terminal)
        assert (ran.code, "certificate is not trusted" in ran.fault) == (10, True)
        plain = shell.run("terminal", "listen", "--air", link.terminal.replace("https", "http"), "--seconds", "1")
        assert plain.code == 10
        assert plain.fault
    assert shell.store.edition is None


def has_ipv6() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6) as sock:
        sock.bind(("::1", 0))
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_a_service_of_ipv6(shell: TownShell) -> None:
    shell.publish(AOI)
    link = Link("http:[::1]:0")
    with link.on_the_air(shell):
        assert link.terminal.startswith("http://[::1]:")
        assert link.listen(shell) == [FULL]


def test_a_terminal_of_a_group_without_a_channel_is_told(shell: TownShell) -> None:
    shell.good("center", "cipher-keys", "--group", "north", "--out", "north.json")
    north = shell.terminal("northern", "north.json")
    shell.publish(AOI)
    with http(shell.folder) as link, link.on_the_air(shell):
        ran = north.listen(link.terminal)
        assert ran.code == 10
        assert "/blacklist/1/north/1/index" in ran.fault
    assert north.store.edition is None


@air
def test_a_broker_that_is_gone_is_told_at_both_ends(shell: TownShell, tmp_path: Path) -> None:
    shell.publish(HANA)
    with Mosquitto(tmp_path) as broker:
        place, ca = f"mqtt:127.0.0.1:{broker.port}", broker.authority.ca
        broker.kill()
        for command in ("center broadcast", "terminal listen"):
            ran = shell.run(*command.split(), "--air", place, "--seconds", "0.3", "--ca", ca)
            assert ran.code == 10, ran
            assert f"saifu: MQTT broker 127.0.0.1 port {broker.port} cannot be reached" in ran.err

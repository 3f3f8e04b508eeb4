"""``saifu center broadcast``, and the cipher keys of terminal groups."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from apdu.counting import counted
from apdu.errors import BearerError, RefusedError
from broadcast.bearer import Way
from broadcast.carousel import CarouselStatistics, ObjectStatistics
from broadcast.cipher_key import CIPHER_KEYS_FORMAT, CipherKeys
from center.broadcasting import Broadcast
from center.center import Center
from center.cipher_groups import GROUP, cipher_keys, groups, retire_cipher_key, roll_cipher_key
from center.opening import PassphraseOption, open_center
from host.air import AirOption, CaOption, CertificateOption, KeyOption, Line, LoginOption, RateOption, open_outlet
from host.console import JsonOption, desk, emit
from host.files import PRIVATE, locked, make_folder, require_own_name, require_replaceable, write_whole
from host.numbers import LONGEST_RUN, decimal_from, number_from
from host.progress_screen import Bar, ProgressScreen

__all__ = ["add_to"]

_Group = Annotated[str, typer.Option("--group", help="The terminal group.")]
_KeysFile = Annotated[Path, typer.Option("--out", help="Where to write the group's keys: a secret, for its terminals.")]


def broadcast(
    context: typer.Context,
    air: AirOption,
    group: _Group = GROUP,
    publishing: Annotated[
        bool, typer.Option("--publish", help="Also publish, when an edition is due or reports have come in.")
    ] = False,
    steps_only: Annotated[
        bool, typer.Option("--steps-only", help="Leave full lists out: for a channel too narrow for them.")
    ] = False,
    seconds: Annotated[
        float | None, typer.Option("--seconds", parser=decimal_from(0, LONGEST_RUN), help="End after so many seconds.")
    ] = None,
    rate: RateOption = 1_000_000,
    ca: CaOption = None,
    login: LoginOption = None,
    certificate: CertificateOption = None,
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send the blacklist to a group's terminals: for ever, for some seconds, or once into a recording [0013]."""
    with open_center(desk(context).center_folder, passphrase_file) as center, ProgressScreen(as_json) as screen:
        keys = _known_keys(center, group)
        with open_outlet(air, keys, rate, Line(ca, login, certificate, key)) as outlet:
            sending = Broadcast(center, group, outlet, publishing, steps_only)
            # Ctrl-C is how somebody ends a carousel; a recording that is cut short is none
            with suppress(*(() if outlet.way is Way.RECORDING else (KeyboardInterrupt,))):
                screen.tell(f"group {group}, keys {_numbers(keys)}, on the {outlet.way.value}: {outlet.place or air}")
                sending.run(seconds, _progress(sending, screen), screen.tell)
    if sending.failure is not None:
        raise BearerError(f"what is new did not go out: {sending.failure}")
    statistics = sending.statistics
    document = {"group": group, "air": air, "place": outlet.place or air, "told": screen.told}
    speed = None if outlet.way is Way.RECORDING else outlet.packet_rate  # nobody is switched on in a recording
    emit(as_json, document | _document(statistics, speed), [_line(one, speed) for one in statistics.objects])


def _known_keys(center: Center, group: str) -> CipherKeys:
    """The keys to seal with; a group that no terminal was given keys of is a slip of the pen."""
    if group != GROUP and group not in groups(center):
        raise RefusedError(f"there is no group {group} (saifu center cipher-keys --group {group} --out FILE makes it)")
    return cipher_keys(center, group)


def _progress(sending: Broadcast, screen: ProgressScreen) -> Callable[[], None]:
    """Bars, and a line when something else comes on the air."""
    names = [_name(one) for one in sending.statistics.objects]

    def show() -> None:
        """Look at what is on the air now."""
        statistics = sending.statistics
        now = [_name(one) for one in statistics.objects]
        if now != names:
            screen.tell(f"now on the air: {'; '.join(now)}")
            names[:] = now
        screen.show(_bars(statistics))

    return show


def _document(statistics: CarouselStatistics, rate: float | None) -> dict[str, Any]:
    fields = ("edition", "span", "key", "kind", "symbols", "pass_bytes", "share", "packets", "passes", "bytes")
    objects = [
        {field: getattr(one, field) for field in fields} | {"expected_seconds": _expected(one, rate)}
        for one in statistics.objects
    ]
    return {"packets": statistics.packets, "bytes": statistics.bytes, "objects": objects}


def _name(one: ObjectStatistics) -> str:
    what = f"step {one.edition - one.span} to {one.edition}" if one.span else f"full list {one.edition}"
    return f"{what}, key {one.key}"


def _expected(one: ObjectStatistics, rate: float | None) -> float | None:
    """Seconds until a terminal that is switched on has it, without losses; None on a line."""
    return None if rate is None else round(one.expected_seconds(rate, loss=0), 1)


def _line(one: ObjectStatistics, rate: float | None) -> str:
    times = f"{one.packets / one.symbols:.1f} times the object"
    sent = f"{counted(one.packets, 'packet')}, {counted(one.bytes, 'byte')}, {times}"
    seconds = _expected(one, rate)
    soon = "" if seconds is None else f"; a terminal that is switched on has it after {seconds} s"
    return f"{_name(one)}: {sent}{soon}"


def _bars(statistics: CarouselStatistics) -> Iterator[Bar]:
    """A bar for the pass of each object."""
    for one in statistics.objects:
        done = one.packets % one.symbols or min(one.packets, one.symbols)
        yield Bar(_name(one), f"{_name(one)}, pass {one.passes}", done, one.symbols)


def cipher_keys_command(
    context: typer.Context,
    out: _KeysFile,
    group: _Group = GROUP,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the cipher keys of a group into a file for its terminals; a new group gets its first one."""
    _give_out(context, passphrase_file, out, as_json, lambda center: cipher_keys(center, group))


def roll_command(
    context: typer.Context,
    out: _KeysFile,
    group: _Group = GROUP,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the group's next cipher key; the broadcast goes out under the old ones too, until they are retired."""
    _give_out(context, passphrase_file, out, as_json, lambda center: roll_cipher_key(center, group))


def retire_command(
    context: typer.Context,
    number: Annotated[int, typer.Argument(parser=number_from(1, 0xFFFF), help="Number of the cipher key.")],
    out: _KeysFile,
    group: _Group = GROUP,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send nothing under a cipher key any more: terminals that hold no newer one are left behind."""
    _give_out(context, passphrase_file, out, as_json, lambda center: retire_cipher_key(center, number, group))


def _give_out(
    context: typer.Context,
    passphrase_file: Path | None,
    out: Path,
    as_json: bool,
    change: Callable[[Center], CipherKeys],
) -> None:
    """Ask the center for keys and write them, alone: what was asked for earlier must not take a later file's place."""
    with suppress(OSError):  # what is in the way, the lock says
        make_folder(out.parent)
    with open_center(desk(context).center_folder, passphrase_file) as center, locked(out):
        require_own_name(out)
        require_replaceable(out, CIPHER_KEYS_FORMAT.encode(), "a file of cipher keys")
        keys = change(center)
        write_whole(out, keys.encode().encode(), PRIVATE)
    numbers = [key.number for key in keys.keys]
    document = {"group": keys.group, "cipher_keys": numbers, "file": str(out)}
    text = f"group {keys.group}, cipher keys {_numbers(keys)}: {out}; give it to this group's terminals only"
    emit(as_json, document, [text])


def _numbers(keys: CipherKeys) -> str:
    return ", ".join(str(key.number) for key in keys.keys)


def add_to(app: typer.Typer) -> None:
    """Add the commands to the center's group."""
    commands: dict[str, Callable[..., None]] = {
        "broadcast": broadcast,
        "cipher-keys": cipher_keys_command,
        "roll-cipher-key": roll_command,
        "retire-cipher-key": retire_command,
    }
    for name, command in commands.items():
        app.command(name)(command)

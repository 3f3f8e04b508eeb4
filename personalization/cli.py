"""``saifu personalize``: key ceremony, blank images, one card, a batch."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from apdu.counting import counted
from apdu.errors import InputError, RefusedError
from apdu.money import currency
from apdu.text import plain_text
from host.connection import CardSlot
from host.console import PIN_VARIABLE, JsonOption, ReaderOption, emit, open_slot
from host.files import make_folder, write_whole
from host.numbers import number_from
from host.secrets_input import PASSPHRASE_VARIABLE, read_digits, read_secret
from host.session import PurseSession
from personalization.batch import Batch, Line
from personalization.card_keys import TransportKeys
from personalization.desk import PUBLIC, USUAL_KEY, issuer_desk
from personalization.diversification import SCHEMES, resetting_code
from personalization.journal import Journal
from personalization.keystore import Keystore, MasterKey, ceremony, check_value, random_key
from personalization.letters import Letters
from personalization.one import Letter, create_blank, personalize_card, require_blank
from personalization.orders import Order, OrderList
from personalization.profile import Profile

__all__ = ["app"]

app = typer.Typer(help="Make cards: key ceremony, blank images, one card, a batch.", no_args_is_help=True)

_Profile = Annotated[str, typer.Option("--profile", "-p", help="person, merchant, or a TOML file.")]
_Key = Annotated[str, typer.Option("--key", help="Name of the master key of your cards' own keys.")]
_Transport = Annotated[
    str,
    typer.Option(
        "--transport-keys",
        help="Keys with which blank cards come: public (GlobalPlatform's test keys), keystore:NAME with the card "
        "maker's master key, or a file with enc, mac and dek, as hex.",
    ),
]
_Passphrase = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help=f"File with the passphrase; else {PASSPHRASE_VARIABLE} or a prompt."),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")]
_Letters = Annotated[Path | None, typer.Option("--letters", help="CSV file for PINs and resetting codes, mode 0600.")]


@app.command("ceremony")
def ceremony_command(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Name of the new master key.")] = USUAL_KEY,
    version: Annotated[
        int, typer.Option(parser=number_from(1, 255), help="Its key version, 1 to 127; 255 for a card maker's.")
    ] = 1,
    bits: Annotated[int, typer.Option(parser=number_from(1, 4096), help="128, 192 or 256.")] = 128,
    scheme: Annotated[str, typer.Option(help=f"Diversification: {' or '.join(SCHEMES)}.")] = "sp800-108",
    component: Annotated[
        list[Path] | None, typer.Option(help="A file with a component in hex, once for each holder.")
    ] = None,
    passphrase_file: _Passphrase = None,
    as_json: JsonOption = False,
) -> None:
    """Make a master key, at random or of 2 to 8 components, and keep it encrypted; shows check values only."""
    file = issuer_desk(context).keystore_file
    if bits not in (128, 192, 256):
        raise InputError(f"--bits {bits}: AES keys have 128, 192 or 256 bits")
    components = [_component(path, bits // 8) for path in component or []]
    key = MasterKey(name, version, scheme, ceremony(components) if components else random_key(bits // 8))
    secret = read_secret("passphrase of the key store", PASSPHRASE_VARIABLE, passphrase_file, confirm=not file.exists())
    Keystore.add(file, key, secret)
    values = [check_value(part) for part in components]
    document = {"name": name, "version": version, "scheme": scheme, "kcv": key.kcv, "component_kcvs": values}
    lines = [f"component {number}: check value {value}" for number, value in enumerate(values, 1)]
    emit(as_json, document, [*lines, f"key {name}, version {version}, {counted(bits, 'bit')}: check value {key.kcv}"])


def _component(path: Path, size: int) -> bytes:
    try:
        component = bytes.fromhex(read_secret(f"component {path}", None, path).decode("ascii"))
    except ValueError:
        raise InputError(f"{path}: a component is written in hex digits") from None
    if len(component) != size:
        raise InputError(f"{path}: the component has {counted(len(component), 'byte')}, the key wants {size}")
    return component


@app.command()
def blank(
    context: typer.Context,
    image: Annotated[Path, typer.Argument(help="The image file to make.")],
    profile: _Profile = "person",
    transport_keys: _Transport = PUBLIC,
    passphrase_file: _Passphrase = None,
    as_json: JsonOption = False,
) -> None:
    """Make the image of a blank card, as it comes from the card maker: with transport keys, and nothing of yours."""
    chosen, desk = Profile.load(profile, currency("EUR")), issuer_desk(context)
    create_blank(image, desk.transport_keys(transport_keys, lambda: desk.keystore(passphrase_file)), chosen)
    emit(as_json, {"image": str(image), "profile": profile}, [f"{image}: a blank card, laid out for profile {profile}"])


@app.command()
def one(
    context: typer.Context,
    reader: ReaderOption,
    holder: Annotated[str, typer.Option(help="Whose card it becomes.")],
    profile: _Profile = "person",
    key: _Key = USUAL_KEY,
    transport_keys: _Transport = PUBLIC,
    letters: _Letters = None,
    passphrase_file: _Passphrase = None,
    dry_run: _DryRun = False,
    as_json: JsonOption = False,
) -> None:
    """Personalize the blank card in a reader; asks for its PIN, or takes SAIFU_PIN."""
    holder = plain_text(holder, "--holder")
    letters_file = Letters(letters) if letters else None
    keys = issuer_desk(context).keys_to_put(key, transport_keys, passphrase_file)
    with issuer_desk(context).issuer_line(passphrase_file) as line:
        chosen, slot = Profile.load(profile, line.unit), open_slot(reader)
        _look(slot)
        if dry_run:
            emit(as_json, {"dry_run": True}, ["dry run: profile, key and blank card are there; nothing was written"])
            return
        pin = read_digits("PIN for the card", PIN_VARIABLE, None, range(4, 9), confirm=True)
        card = line.allot(chosen.role, holder)
        letter = Letter(card, holder, pin, resetting_code(keys.issuer.key, card))
        if letters_file is not None:
            letters_file.write(letter)
        personalize_card(slot, letter, chosen, keys, line)
    emit(as_json, {"card": card.text, "holder": holder, "profile": profile}, [f"card {card} is {holder}'s"])


def _look(slot: CardSlot) -> None:
    """See that a blank card is there, before a serial is given out."""
    try:
        require_blank(PurseSession(slot.connect()))
    finally:
        slot.close()


@app.command("batch")
def batch_command(
    context: typer.Context,
    orders: Annotated[Path, typer.Argument(help="CSV with the columns holder, and if you like pin and file.")],
    letters: _Letters = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for card images; each is made blank first.")] = Path(
        "cards"
    ),
    reader: Annotated[str, typer.Option("--reader", "-r", help="Instead: a reader that takes card after card.")] = "",
    report: Annotated[Path | None, typer.Option("--report", help="Where the report goes, as JSON.")] = None,
    profile: _Profile = "person",
    key: _Key = USUAL_KEY,
    transport_keys: _Transport = PUBLIC,
    passphrase_file: _Passphrase = None,
    dry_run: _DryRun = False,
    as_json: JsonOption = False,
) -> None:
    """Personalize a card for every row of a CSV; run it again to go on after an interruption."""
    wanted = OrderList.load(orders)
    if letters is None and any(order.pin is None for order in wanted.orders):
        raise InputError("rows without a PIN get a random one: say with --letters where it is written")
    deliver = Letters(letters).write if letters else lambda _: None
    keys = issuer_desk(context).keys_to_put(key, transport_keys, passphrase_file)
    with issuer_desk(context).issuer_line(passphrase_file) as line:
        chosen = Profile.load(profile, line.unit)
        if dry_run:
            text = f"dry run: {counted(len(wanted.orders), 'row')}, profile and key are in order"
            emit(as_json, {"dry_run": True, "rows": len(wanted.orders)}, [f"{text}; nothing was written"])
            return
        slot_for = _cards(reader) if reader else _images(out, keys.transport, chosen)
        with Journal(orders.with_name(orders.name + ".journal"), wanted) as journal:
            batch = Batch(wanted, chosen, keys, line, journal)
            done = _run(batch, len(wanted.orders), slot_for, deliver)
    _report(done, report, as_json)


def _images(folder: Path, transport: TransportKeys, profile: Profile) -> Callable[[Order], CardSlot]:
    """The blank card of a row is an image that is made now, unless an earlier run made it."""

    def image(order: Order) -> CardSlot:
        """The slot with a row's image."""
        path = folder / order.file
        if not path.exists():
            make_folder(folder)
            create_blank(path, transport, profile)
        return open_slot(f"model:{path}")

    return image


def _cards(reader: str) -> Callable[[Order], CardSlot]:
    """The blank card of a row is the next one that somebody puts into the reader."""

    def next_card(order: Order) -> CardSlot:
        """The reader, once somebody says that a blank card is in it."""
        if not typer.confirm(f"line {order.line}, {order.holder}: is a blank card in the reader?", True, err=True):
            raise RefusedError("stopped; run the same command again to go on")
        return open_slot(reader)

    return next_card


def _run(
    batch: Batch, total: int, slot_for: Callable[[Order], CardSlot], deliver: Callable[[Letter], None]
) -> list[Line]:
    """Run with a progress bar on standard error."""
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task, done = progress.add_task("cards", total=total), []
        for line in batch.run(slot_for, deliver):
            done.append(line)
            progress.update(task, advance=1, description=f"line {line.order.line}")
    return done


def _report(done: list[Line], path: Path | None, as_json: bool) -> None:
    rows = [
        {
            "line": row.order.line,
            "holder": row.order.holder,
            "card": row.card.text,
            "file": row.order.file,
            "earlier": row.earlier,
        }
        for row in done
    ]
    earlier = sum(row.earlier for row in done)
    made = len(done) - earlier
    document = {"cards": rows, "made": made, "earlier": earlier}
    if path is not None:
        write_whole(path, json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")
    text = f"{counted(made, 'card')} made" + (f", {earlier} made before" if earlier else "")
    emit(as_json, document, [f"{row['card']}  {row['holder']}" for row in rows] + [text])

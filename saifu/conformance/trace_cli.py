"""``saifu trace diff``, added to the host's group: two traces, or a trace and the model; where do they deviate?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from apdu.errors import InputError, StoreError
from apdu.protocol import Protocol
from apdu.trace.reading import Reading
from host.channel_keys import KeysOption, find_keys, read_channel_keys
from host.console import JsonOption, emit
from host.replay import Recording, load
from host.scp03 import StaticKeys
from host.secure_listener import SecureListener
from host.trace_cli import app
from host.trace_compare_cli import compare, field_document, field_lines, place, place_document
from host.trace_readings import without_secrets
from saifu.conformance.trace_oracle import Followed, TraceOracle
from saifu.conformance.trace_start import blank_start, image_keys, protocol_of, readings_of

__all__ = ["app"]

_LARGEST_IMAGE = 1 << 16


@app.command()
def diff(
    context: typer.Context,
    old: Annotated[Path, typer.Argument(help="A trace: of saifu --trace, or of another program.")],
    new: Annotated[Path | None, typer.Argument(help="The trace to compare it with; - is standard input.")] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="Compare with the model instead: the card's image as it was before the trace."),
    ] = None,
    blank_keys: Annotated[
        Path | None,
        typer.Option("--blank-keys", help="The same, for a trace that begins with a blank card: a file of its keys."),
    ] = None,
    slot: Annotated[
        str | None,
        typer.Option("--slot", help="For the model: whose card, if the trace has several; a part of a name."),
    ] = None,
    protocol: Annotated[
        Protocol | None, typer.Option("--protocol", help="For the model; without it, by the answer to reset.")
    ] = None,
    keys: KeysOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="For two traces: compare every byte.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say where two traces differ, or where a card deviates from the model; exit code 1 if they do.

    Between two traces, what is new in every run is no difference: nonces, signatures, cryptograms, keys, times. With
    --model or --blank-keys the card's answers are those of the model, or the first that is not is told.
    """
    if (new is not None) + (model is not None) + (blank_keys is not None) != 1:
        raise InputError("compare the trace with one thing: another trace, --model IMAGE, or --blank-keys FILE")
    if new is not None:
        if slot is not None or protocol is not None:
            raise InputError("--slot and --protocol are for the comparison with the model")
        same = compare(old, new, keys=find_keys(context, keys), strict=strict, as_json=as_json)
    else:
        if strict or keys is not None:
            raise InputError("--strict and --keys are for the comparison of two traces")
        same = _with_model(old, slot, model, blank_keys, protocol, as_json)
    if not same:
        raise typer.Exit(1)


def _with_model(
    file: Path, slot: str | None, image: Path | None, keys: Path | None, protocol: Protocol | None, as_json: bool
) -> bool:
    recording = load(str(file), slot, choosing="--slot NAME")
    start, static = _start(recording, image, keys)
    spoken = protocol or protocol_of(recording)
    try:
        followed = TraceOracle(recording, start, static, spoken).run()
    except StoreError as error:
        raise StoreError(f"{image}: {error}") from None
    reading = _reading(recording, followed.number, static) if followed.number else None
    emit(as_json, _document(followed, reading, spoken), _lines(followed, reading, spoken))
    return reading is None


def _start(recording: Recording, image: Path | None, keys: Path | None) -> tuple[bytes, StaticKeys]:
    """The memory with which the model begins, and the card's keys."""
    if keys is not None:
        static = read_channel_keys(keys)
        return blank_start(recording, static), static
    if image is None:
        raise InputError("--model or --blank-keys is wanted")
    try:
        with image.open("rb") as file:
            raw = file.read(_LARGEST_IMAGE + 1)
    except OSError as error:
        raise InputError(f"{image} cannot be read: {error.strerror}") from None
    try:
        return raw, image_keys(raw)
    except StoreError as error:
        raise StoreError(f"{image}: {error}") from None


def _reading(recording: Recording, number: int, keys: StaticKeys) -> Reading:
    """An exchange in words; secrets are left out."""
    found = without_secrets(readings_of(recording, SecureListener(lambda _: keys)))
    return next(each for each in found if each.number == number and each.name)


def _lines(followed: Followed, reading: Reading | None, protocol: Protocol) -> Iterator[str]:
    """For people."""
    if reading is not None and followed.deviation is not None:
        yield "the card deviates from the model first here:"
        yield place(reading)
        yield f"          {followed.deviation.why}"
        yield from field_lines(followed.fields, "model", "card")
        if followed.hint:
            yield f"          {followed.hint}"
        yield f"{followed.compared} exchanges before it are as the model's, at {protocol.value}"
    else:
        yield f"the card answers as the model does: {followed.compared} exchanges, at {protocol.value}"
    for number, guess in _guesses(followed):
        yield f"item {number} has no answer; what fits best is that it was {guess}"


def _guesses(followed: Followed) -> Iterator[tuple[int, str]]:
    for number in followed.unanswered:
        yield number, followed.guess(number).value


def _document(followed: Followed, reading: Reading | None, protocol: Protocol) -> dict[str, Any]:
    """For JSON."""
    document: dict[str, Any] = {
        "equal": reading is None,
        "protocol": protocol.value,
        "compared": followed.compared,
        "unanswered": dict(_guesses(followed)),
        "first": None,
    }
    if reading is not None and followed.deviation is not None:
        answers = {"model": followed.deviation.expected, "card": followed.deviation.answered or b""}
        document["first"] = {
            "place": place_document(reading),
            "why": followed.deviation.why,
            "hint": followed.hint,
            "fields": [field_document(each, "model", "card") for each in followed.fields],
            **{name: raw.hex().upper() for name, raw in answers.items()},
        }
    return document

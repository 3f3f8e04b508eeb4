"""First sweep of power cuts: every physical write of a command, every kind of cut, a second cut in recovery.

Whatever is cut, the card is found as before or as after the command, money is where it was or where it was
going, and what was begun can be finished.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product

import pytest

from apdu.errors import OutcomeUnknownError, StoreError
from applet_model.memory import Cut, PowerCutError
from tests.applet_model.cards import CopiedCard, without_journal
from tests.applet_model.naive import NaiveCard
from tests.applet_model.tearing_scenes import SCENES, Scene

CASES = {
    "REQUEST": 68,
    "PAY": 244,
    "RECEIVE": 148,
    "RECEIVE, refused": 68,
    "SETTLE with receipt": 68,
    "SETTLE with refusal": 260,
    "LOCK OUT": 148,
    "UNLOCK": 148,
    "TERMINATE": 68,
    "PUT DATE": 68,
    "PUT CREDIT": 148,
    "VERIFY": 136,
    "CHANGE REFERENCE DATA": 204,
    "RESET RETRY COUNTER": 284,
    "GENERATE KEY PAIR": 1028,
    "PUT KEY": 400,
    "STORE DATA, last block": 840,
}
"""At least so many cases each: fewer would mean that the sweep has gone blind."""


@dataclass(slots=True)
class Found:
    """What a sweep saw: how many cases, where they ended, what was between, whether before and after came up."""

    cases: int = 0
    ends: set[bytes] = field(default_factory=set)
    between: list[bytes] = field(default_factory=list)
    both: bool = False


def torn(scene: Scene, write: int, how: Cut, kind: type[CopiedCard]) -> bytes:
    """Begin the scene, cut its command, return the image that is left."""
    card, act = scene.begin(kind)
    card.tear(write, how)
    with pytest.raises(OutcomeUnknownError):
        act()
    return card.image()


def power_on(image: bytes, kind: type[CopiedCard]) -> CopiedCard:
    """Power on; a card that calls itself damaged stays as it is, and will be found between."""
    card = kind(image)
    with suppress(StoreError):
        card.power_on()
    return card


def power_on_cut(image: bytes, write: int, how: Cut, kind: type[CopiedCard]) -> bytes:
    card = kind(image)
    card.tear(write, how)
    with pytest.raises(PowerCutError):
        card.power_on()
    return card.image()


def recoveries(image: bytes, kind: type[CopiedCard]) -> Iterator[bytes]:
    """Images after a recovery, and after every recovery that was cut and done again."""
    card = power_on(image, kind)
    yield card.image()
    for write, how in product(range(card.writes), Cut):
        yield power_on(power_on_cut(image, write, how, kind), kind).image()


def sweep(scene: Scene, kind: type[CopiedCard] = CopiedCard) -> Found:
    card, act = scene.begin(kind)
    before, start = card.image(), card.writes
    act()
    allowed = set(map(without_journal, (before, card.image(), *scene.also(before))))
    found = Found()
    for write, how in product(range(card.writes - start), Cut):
        for image in recoveries(torn(scene, write, how, kind), kind):
            found.cases += 1
            found.ends.add(image)
            if without_journal(image) not in allowed:
                found.between.append(image)
    found.both = set(map(without_journal, found.ends)) >= allowed
    return found


@pytest.mark.parametrize("name", SCENES)
def test_as_before_or_as_after(name: str) -> None:
    found = sweep(SCENES[name])
    assert found.between == []
    assert found.both
    assert found.cases >= CASES[name]
    for image in found.ends:
        SCENES[name].finish(image)


@pytest.mark.parametrize("name", SCENES)
def test_without_a_journal_the_sweep_finds_cards_between(name: str) -> None:
    assert sweep(SCENES[name], NaiveCard).between


def test_every_scene_is_counted() -> None:
    assert CASES.keys() == SCENES.keys()

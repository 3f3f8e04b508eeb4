"""What goes on the air: the modulator (25) seals the newest list and the last deltas for a terminal group."""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from apdu.errors import RefusedError
from broadcast.carousel import OnAir
from broadcast.cipher_key import CipherKey, CipherKeys
from broadcast.edition import Edition
from broadcast.modulator import modulate
from center.center import Center
from center.cipher_groups import GROUP, cipher_keys
from center.models import EditionRow, OnAirRow

__all__ = ["on_air"]


_SPAN_MAX = 255
"""A packet names its delta's span in a byte."""

_Name = tuple[int, int, int]
"""Key number, edition, span."""


def on_air(center: Center, group: str = GROUP) -> list[OnAir]:
    """The sealed objects of a group: the newest list and the last steps, under each active key.

    What was sealed once stays as it is while it is on the air, since packets of two seals do not fit each
    other. Raises RefusedError before the first edition.
    """
    keys = cipher_keys(center, group)
    with center.session() as session:
        rows = {(row.key, row.edition, row.span): row for row in session.scalars(_rows(group))}
        wanted = list(_wanted(session, center.settings.deltas, keys))
        for name in rows.keys() - set(wanted):
            session.delete(rows.pop(name))
        if missing := [name for name in wanted if name not in rows]:
            rows |= _seal(center, session, keys, missing)
    return [_as_sent(keys, rows[name]) for name in wanted]


def _rows(group: str) -> Select[OnAirRow]:
    return select(OnAirRow).where(OnAirRow.group == group)


def _wanted(session: Session, deltas: int, keys: CipherKeys) -> Iterator[_Name]:
    """Full list first, then the steps to the newest editions; a step over a number that was left out is longer."""
    numbers = session.scalars(select(EditionRow.number).order_by(EditionRow.number.desc()).limit(deltas + 1)).all()
    if not numbers:
        raise RefusedError("nothing was published yet (saifu center publish)")
    spans = [(newer, newer - older) for newer, older in pairwise(numbers)]
    for key in reversed(keys.keys):
        yield key.number, numbers[0], 0
        yield from ((key.number, number, span) for number, span in spans if span <= _SPAN_MAX)


def _seal(center: Center, session: Session, keys: CipherKeys, names: list[_Name]) -> dict[_Name, OnAirRow]:
    """Modulate what is not on the air yet; each edition and content is made once."""
    edition = cache(lambda number: _edition(center, session, number))
    content = cache(
        lambda number, span: edition(number).delta_from(edition(number - span)) if span else edition(number).content()
    )
    rows = {}
    for name in names:
        key, number, span = name
        sealed = modulate(content(number, span), _key(keys, key))
        rows[name] = OnAirRow(group=keys.group, key=key, edition=number, span=span, sealed=sealed)
    session.add_all(rows.values())
    return rows


def _edition(center: Center, session: Session, number: int) -> Edition:
    return Edition.decode(session.get_one(EditionRow, number).content, center.issuer, center.trust.keys)


def _key(keys: CipherKeys, number: int) -> CipherKey:
    return next(key for key in keys.keys if key.number == number)


def _as_sent(keys: CipherKeys, row: OnAirRow) -> OnAir:
    return OnAir(row.edition, row.span, _key(keys, row.key), row.sealed)

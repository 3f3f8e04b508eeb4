"""Terminal groups and their cipher keys (46): given out, rolled over, retired [0026-0029].

A group is all terminals that hold the same cipher keys. Rolling over: a new key is made, the terminals are given
the file with both, the broadcast goes out under both, and at last the old one is retired.
"""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from apdu.errors import RefusedError
from broadcast.cipher_key import MAX_CIPHER_KEYS, CipherKeys, require_group
from center.center import Center
from center.models import CipherKeyRow

__all__ = ["GROUP", "cipher_keys", "groups", "retire_cipher_key", "retired_cipher_keys", "roll_cipher_key"]

GROUP = "terminals"
"""The group that there is when nobody asks for another."""


def _active(session: Session, group: str) -> Sequence[int]:
    """Numbers of a group's keys that are in use; raises FormatError for a name that is none."""
    require_group(group)
    wanted = select(CipherKeyRow.number).where(CipherKeyRow.group == group, CipherKeyRow.retired.is_(None))
    return session.scalars(wanted.order_by(CipherKeyRow.number)).all()


def _add(center: Center, session: Session, group: str) -> None:
    newest = session.scalar(select(func.max(CipherKeyRow.number)).where(CipherKeyRow.group == group)) or 0
    session.add(CipherKeyRow(group=group, number=newest + 1, created=center.now, retired=None))
    session.flush()


def _keys(center: Center, session: Session, group: str) -> CipherKeys:
    """The active keys of a group."""
    keys = (center.keys.cipher_key(group, number) for number in _active(session, group))
    return CipherKeys(center.issuer, group, tuple(keys))


def groups(center: Center) -> list[str]:
    """All groups that were ever given keys."""
    with center.session() as session:
        return list(session.scalars(select(CipherKeyRow.group).distinct().order_by(CipherKeyRow.group)))


def cipher_keys(center: Center, group: str = GROUP) -> CipherKeys:
    """The active keys of a group, for its terminals; a new group gets its first one.

    Raises FormatError for a name that is none.
    """
    with center.session() as session:
        if not _active(session, group):
            _add(center, session, group)
        return _keys(center, session, group)


def retired_cipher_keys(center: Center, group: str = GROUP) -> list[int]:
    """Numbers of the keys that nothing is sent under any more."""
    with center.session() as session:
        wanted = select(CipherKeyRow.number).where(CipherKeyRow.group == group, CipherKeyRow.retired.is_not(None))
        return list(session.scalars(wanted.order_by(CipherKeyRow.number)))


def roll_cipher_key(center: Center, group: str = GROUP) -> CipherKeys:
    """Make the next key of a group; the older ones stay until they are retired. Raises RefusedError, FormatError."""
    with center.session() as session:
        if len(_active(session, group)) >= MAX_CIPHER_KEYS:
            raise RefusedError(f"group {group} has {MAX_CIPHER_KEYS} cipher keys: retire the oldest first")
        _add(center, session, group)
        return _keys(center, session, group)


def retire_cipher_key(center: Center, number: int, group: str = GROUP) -> CipherKeys:
    """Send nothing under a key any more; raises RefusedError for the last one, and for one that is not active."""
    with center.session() as session:
        active = _active(session, group)
        if number not in active:
            raise RefusedError(f"group {group} has no active cipher key {number}")
        if len(active) == 1:
            raise RefusedError(f"cipher key {number} is the last of group {group}: roll over first")
        row = session.get_one(CipherKeyRow, (group, number))
        row.retired = center.now
        session.flush()
        return _keys(center, session, group)

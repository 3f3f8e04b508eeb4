"""The center's tables (store 28 and the registry), as SQLAlchemy models.

A column ``order`` has the number of the transaction in the center's order (``Center.ordered``): by it alone is told
what came before what. Dates are for people, and for what is signed.
"""

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, validates

from apdu.text import plain_text

__all__ = [
    "CardRow",
    "CaseRow",
    "CipherKeyRow",
    "DecisionRow",
    "EditionRow",
    "FindingRow",
    "FloatRow",
    "GapRow",
    "ListedRow",
    "MarkRow",
    "OnAirRow",
    "RecordRow",
    "RemindedRow",
    "ReportRow",
    "ResolutionRow",
    "SettingRow",
    "Tables",
]


class Tables(DeclarativeBase):
    """Base of all tables; dates are Unix seconds, amounts minor units."""


def _checked(row: Tables, what: str, text: str) -> str:
    """Let a text of people's into a row, whoever makes the row; raises InputError for one that would forge lines."""
    del row
    return plain_text(text, what)


class SettingRow(Tables):
    """A setting of the center: issuer, currency and the like, as text."""

    __tablename__ = "settings"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str]


class CardRow(Tables):
    """One card of the registry, and what the center last knew of it."""

    __tablename__ = "cards"
    serial: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    role: Mapped[int]
    holder: Mapped[str]
    allotted: Mapped[int]
    certificate: Mapped[bytes | None] = mapped_column(LargeBinary)
    credit_serial: Mapped[int] = mapped_column(default=0)
    seen: Mapped[int] = mapped_column(default=0)
    chain: Mapped[bytes] = mapped_column(LargeBinary(32))
    balance: Mapped[int] = mapped_column(default=0)
    attestation: Mapped[bytes | None] = mapped_column(LargeBinary)
    challenge: Mapped[bytes | None] = mapped_column(LargeBinary(16))
    challenged: Mapped[int] = mapped_column(default=0)
    """The center's order when the challenge was given out."""
    attested: Mapped[int] = mapped_column(default=0)
    """The order of the challenge that the attestation answers: the card has signed it after that."""
    unlocked_from: Mapped[int | None]

    _plain = validates("holder")(_checked)


class ReportRow(Tables):
    """A report, stolen or found, as it came in [0013]; never changed."""

    __tablename__ = "reports"
    id: Mapped[int] = mapped_column(primary_key=True)
    serial: Mapped[int]
    kind: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str]
    date: Mapped[int]
    order: Mapped[int] = mapped_column(default=0)

    _plain = validates("reason")(_checked)


class ListedRow(Tables):
    """A card that the next edition lists (blacklist store 28)."""

    __tablename__ = "listed"
    serial: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reason: Mapped[str]
    since: Mapped[int]

    _plain = validates("reason")(_checked)


class EditionRow(Tables):
    """A published edition, whole."""

    __tablename__ = "editions"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    date: Mapped[int]
    order: Mapped[int] = mapped_column(default=0)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class CipherKeyRow(Tables):
    """A cipher key (46) of a terminal group; the key itself comes from the center's root."""

    __tablename__ = "cipher_keys"
    group: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created: Mapped[int]
    retired: Mapped[int | None]


class OnAirRow(Tables):
    """What is on the air for a group: sealed once, so that the packets of every pass fit each other."""

    __tablename__ = "on_air"
    group: Mapped[str] = mapped_column(String(40), primary_key=True)
    key: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    edition: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    span: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class RecordRow(Tables):
    """A history record that a card has uploaded.

    A transfer's records are found from either side: by the card itself, or by the other one.
    """

    __tablename__ = "records"
    __table_args__ = (
        Index("ix_records_transfer", "serial", "kind", "counter", "other"),
        Index("ix_records_other", "other", "kind", "counter"),
        Index("ix_records_request", "other", "kind", "request"),
    )
    serial: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[int]
    other: Mapped[int]
    counter: Mapped[int]
    request: Mapped[int]
    amount: Mapped[int]
    balance: Mapped[int]
    date: Mapped[int]
    uploaded: Mapped[int]
    """Unix seconds, for people."""
    order: Mapped[int] = mapped_column(default=0)
    """The order of the transaction that took it in; 0 before there was an order."""


class DecisionRow(Tables):
    """What an operator has decided about a transfer that no card can tell of any more."""

    __tablename__ = "decisions"
    serial: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    counter: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    outcome: Mapped[int]
    reason: Mapped[str]
    date: Mapped[int]
    order: Mapped[int] = mapped_column(default=0)

    _plain = validates("reason")(_checked)


class ResolutionRow(Tables):
    """A resolution that was signed: what a card was told of its transfer."""

    __tablename__ = "resolutions"
    serial: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    counter: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    outcome: Mapped[int]
    signed: Mapped[bytes] = mapped_column(LargeBinary)
    order: Mapped[int]


class MarkRow(Tables):
    """A number that only grows: the center's order, the highest serial and edition, what a recovery passed over."""

    __tablename__ = "marks"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    number: Mapped[int]


class FindingRow(Tables):
    """Something that shows that the center is behind; closed by a recovery, and kept."""

    __tablename__ = "findings"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    text: Mapped[str]
    evidence: Mapped[bytes] = mapped_column(LargeBinary)
    closed: Mapped[int | None]
    """The order of the recovery that closed it."""


class FloatRow(Tables):
    """The float's newest known state; the only row has id 1."""

    __tablename__ = "float_state"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    serial: Mapped[int]
    record: Mapped[int]
    payments: Mapped[int]
    balance: Mapped[int]
    chain: Mapped[bytes] = mapped_column(LargeBinary(32))
    replaced_by: Mapped[int | None]
    """What a new float is to begin with, in minor units, while this one is lost and there is none yet."""


class RemindedRow(Tables):
    """The newest record of a card that the center once signed to have seen and had lost, until the card was renewed."""

    __tablename__ = "reminded"
    serial: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seen: Mapped[int]


class GapRow(Tables):
    """Records of a card that the center has seen and lost, and that the card has no more."""

    __tablename__ = "gaps"
    serial: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int]
    request: Mapped[int]
    """The newest request that the card had opened when the gap was found: what it received in the gap is not above."""


class CaseRow(Tables):
    """Something that does not agree, with its evidence; never thrown away."""

    __tablename__ = "cases"
    __table_args__ = (Index("ix_cases_transfer", "serial", "counter", "kind"),)
    number: Mapped[int] = mapped_column(primary_key=True)
    order: Mapped[int]
    kind: Mapped[str] = mapped_column(String(40))
    serial: Mapped[int]
    """The payer; the card that was refused, for what is about a card and not about a transfer."""
    counter: Mapped[int]
    """The payer's; 0 for what is about a card."""
    evidence: Mapped[str]
    """JSON, of ``center.case_evidence``."""

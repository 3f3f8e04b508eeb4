"""The evidence of a case, as it is kept: records, signed states, decisions and resolutions; no words about them.

It is one JSON object. What cards and center have signed is in it byte by byte, in hex, so that anybody who has the
certificates can verify it without this program; a history record is in the layout in which it went into the chain
that the card has attested.
"""

import json
from dataclasses import dataclass
from typing import Self, TypeVar

from apdu.identity import CardId
from apdu.messages import Attestation, Outcome, Resolution, Signed
from apdu.objects import HistoryRecord

__all__ = ["Decision", "Evidence"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Decision:
    """An operator's decision, and its place in the center's order."""

    outcome: Outcome
    order: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a transfer, or what a card has handed in; records go with the card whose history has them."""

    records: tuple[tuple[CardId, HistoryRecord], ...] = ()
    attestations: tuple[Signed[Attestation], ...] = ()
    decisions: tuple[Decision, ...] = ()
    resolutions: tuple[Signed[Resolution], ...] = ()

    def joined(self, other: Self) -> Self:
        """All of this, and what is new in the other."""
        return type(self)(
            _joined(self.records, other.records),
            _joined(self.attestations, other.attestations),
            _joined(self.decisions, other.decisions),
            _joined(self.resolutions, other.resolutions),
        )

    def encode(self) -> str:
        """The JSON object."""
        document = {
            "records": [{"card": card.text, "record": record.encode().hex()} for card, record in self.records],
            "attestations": [signed.raw.hex() for signed in self.attestations],
            "decisions": [{"outcome": decision.outcome, "order": decision.order} for decision in self.decisions],
            "resolutions": [signed.raw.hex() for signed in self.resolutions],
        }
        return json.dumps(document)

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what ``encode`` has written."""
        document = json.loads(text)
        return cls(
            tuple(
                (CardId.parse(told["card"]), HistoryRecord.decode(bytes.fromhex(told["record"])))
                for told in document["records"]
            ),
            tuple(Signed.decode(Attestation, bytes.fromhex(raw)) for raw in document["attestations"]),
            tuple(Decision(Outcome(told["outcome"]), told["order"]) for told in document["decisions"]),
            tuple(Signed.decode(Resolution, bytes.fromhex(raw)) for raw in document["resolutions"]),
        )


def _joined(one: tuple[T, ...], other: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*one, *other)))

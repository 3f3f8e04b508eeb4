"""How a handler ends a command without success."""

from apdu.errors import SaifuError
from apdu.status import StatusWord

__all__ = ["Decline", "unless"]


class Decline(SaifuError):  # noqa: N818  (it is an answer of the card, not an error of the program)
    """The card answers with this status word and nothing has changed."""

    def __init__(self, sw: int) -> None:
        """Keep the status word."""
        super().__init__(f"{sw:04X}")
        self.sw = sw


def unless(condition: bool, sw: StatusWord) -> None:
    """Decline with ``sw`` unless the condition holds."""
    if not condition:
        raise Decline(sw)

"""The steps of the patent's flow charts, figs. 2, 3 and 5, under their numbers."""

from enum import Enum

__all__ = ["Step"]


class Step(Enum):
    """One step: its number and what a display says.

    The text of the patent names S101 to S110, S205, S206 and S301 to S313; S201 to S204 are the steps of
    fig. 3 before them, in the order of [0018].
    """

    S101 = ("S101", "two cards are inserted")
    S102 = ("S102", "send is pressed")
    S103 = ("S103", "read ID information 1")
    S104 = ("S104", "read ID information 2")
    S105 = ("S105", "read the blacklist")
    S106 = ("S106", "is a card listed?")
    S107 = ("S107", "move the money")
    S108 = ("S108", "lock the card out")
    S109 = ("S109", "the transfer is done")
    S110 = ("S110", "eject")
    S201 = ("S201", "a card is inserted")
    S202 = ("S202", "read the ID information")
    S203 = ("S203", "read the blacklist")
    S204 = ("S204", "is the card listed?")
    S205 = ("S205", "balance and history")
    S206 = ("S206", "lock the card out")
    S301 = ("S301", "a card is inserted")
    S302 = ("S302", "show the amount")
    S303 = ("S303", "pay by card")
    S304 = ("S304", "read the ID information")
    S305 = ("S305", "read the blacklist")
    S306 = ("S306", "is the card listed?")
    S307 = ("S307", "read the balance")
    S308 = ("S308", "lock the card out")
    S309 = ("S309", "is it enough?")
    S310 = ("S310", "move the money")
    S311 = ("S311", "too little money")
    S312 = ("S312", "update sales amount and sales history")
    S313 = ("S313", "eject")

    @property
    def text(self) -> str:
        """What a display says."""
        return self.value[1]

"""What a terminal has towards people: a display (16) and an input (17)."""

from typing import Protocol

from host.terminal.steps import Step

__all__ = ["Display", "Input"]


class Display(Protocol):
    """The display: the amount, and what is being done [0017]."""

    def step(self, step: Step, detail: str = "") -> None:
        """Show that a step of the flow is reached."""
        ...

    def show(self, text: str) -> None:
        """Show a message."""
        ...


class Input(Protocol):
    """The input: what only the person at the terminal knows."""

    def pin(self, reason: str) -> bytes:
        """Ask for the PIN and return it as a block of 8 bytes; raises RefusedError if nobody gives one."""
        ...

"""Diagrams in Mermaid: the life cycle of a card from its table, and the patent's flows from their steps."""

from collections.abc import Callable
from functools import partial

from apdu.identity import LifeCycle
from applet_model.life_cycle import TRANSITIONS
from host.terminal.steps import Step

__all__ = ["FLOWS", "REGIONS"]

_S = Step
FLOWS: dict[str, tuple[tuple[Step, Step, str], ...]] = {
    "2": (
        (_S.S101, _S.S102, ""), (_S.S102, _S.S103, ""), (_S.S103, _S.S104, ""), (_S.S104, _S.S105, ""),
        (_S.S105, _S.S106, ""), (_S.S106, _S.S107, "no"), (_S.S106, _S.S108, "yes"), (_S.S107, _S.S109, ""),
        (_S.S108, _S.S110, ""), (_S.S109, _S.S110, ""),
    ),
    "3": (
        (_S.S201, _S.S202, ""), (_S.S202, _S.S203, ""), (_S.S203, _S.S204, ""), (_S.S204, _S.S205, "no"),
        (_S.S204, _S.S206, "yes"), (_S.S205, _S.S110, ""), (_S.S206, _S.S110, ""),
    ),
    "5": (
        (_S.S301, _S.S302, ""), (_S.S302, _S.S303, ""), (_S.S303, _S.S304, ""), (_S.S304, _S.S305, ""),
        (_S.S305, _S.S306, ""), (_S.S306, _S.S307, "no"), (_S.S306, _S.S308, "yes"), (_S.S307, _S.S309, ""),
        (_S.S309, _S.S310, "yes"), (_S.S309, _S.S311, "no"), (_S.S310, _S.S312, ""), (_S.S308, _S.S313, ""),
        (_S.S311, _S.S313, ""), (_S.S312, _S.S313, ""),
    ),
}  # fmt: skip
"""Figure of the patent to its arrows: from, to, and the answer to a question."""


def _flow(figure: str) -> str:
    arrows = FLOWS[figure]
    asked = {one for one, _, answer in arrows if answer}
    steps = sorted({step for one, other, _ in arrows for step in (one, other)}, key=lambda step: step.name)
    lines = ["```mermaid", "flowchart TD"]
    for step in steps:
        left, right = ("{", "}") if step in asked else ("[", "]")
        lines.append(f'    {step.name}{left}"{step.name}<br>{step.text}"{right}')
    for one, other, answer in arrows:
        lines.append(f"    {one.name} -->{f'|{answer}|' if answer else ''} {other.name}")
    return "\n".join([*lines, "```"])


def _state(state: LifeCycle) -> str:
    return state.name.lower()


def _life_cycle() -> str:
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    {_state(state)}: {state.text}" for state in LifeCycle]
    lines.append(f"    [*] --> {_state(LifeCycle.BLANK)}")
    lines += [f"    {_state(one)} --> {_state(other)}: {event.value}" for (one, event), other in TRANSITIONS.items()]
    lines.append(f"    {_state(LifeCycle.TERMINATED)} --> [*]")
    return "\n".join([*lines, "```"])


REGIONS: dict[str, Callable[[], str]] = {
    "life cycle diagram": _life_cycle,
    **{f"flow {figure}": partial(_flow, figure) for figure in FLOWS},
}
"""Regions by name."""

"""The whole suite: the modules of cases, each imported once."""

from importlib import import_module
from pkgutil import iter_modules

import saifu.conformance
from saifu.conformance.case import CASES, Case

__all__ = ["suite"]


def suite() -> list[Case]:
    """Every case of every module ``cases_…``, in the order of the modules' names."""
    for module in sorted(found.name for found in iter_modules(saifu.conformance.__path__)):
        if module.startswith("cases_"):
            import_module(f"saifu.conformance.{module}")
    return list(CASES)

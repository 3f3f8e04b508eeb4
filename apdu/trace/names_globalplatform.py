"""Names of GlobalPlatform: commands, status words and tags (Card Specification 2.3, clauses 11 and annexes E, H)."""

__all__ = ["COMMANDS", "CPLC", "INSTALL_FOR", "PRIVILEGES", "STATUS", "STATUS_BY_INS", "TAGS"]

COMMANDS: dict[int, str] = {
    0x50: "INITIALIZE UPDATE",
    0x70: "MANAGE CHANNEL",
    0x78: "END R-MAC SESSION",
    0x7A: "BEGIN R-MAC SESSION",
    0x82: "EXTERNAL AUTHENTICATE",
    0x84: "GET CHALLENGE",
    0x88: "INTERNAL AUTHENTICATE",
    0xCA: "GET DATA",
    0xCB: "GET DATA",
    0xD8: "PUT KEY",
    0xE2: "STORE DATA",
    0xE4: "DELETE",
    0xE6: "INSTALL",
    0xE8: "LOAD",
    0xF0: "SET STATUS",
    0xF2: "GET STATUS",
}
"""Instructions in classes 80 to 8F and C0 to FE (clause 11; SCP01 to SCP11 in annexes and amendments)."""

INSTALL_FOR: tuple[tuple[int, str], ...] = (
    (0x02, "load"),
    (0x04, "install"),
    (0x08, "make selectable"),
    (0x10, "extradition"),
    (0x20, "personalization"),
    (0x40, "registry update"),
)
"""Bits of P1 of INSTALL (clause 11.5.2.1)."""

STATUS: dict[int, str] = {
    0x6200: "the logical channel is closed already",
    0x6283: "selected; the card is locked",
    0x6310: "done; there is more to ask for",
    0x6400: "no specific diagnosis",
    0x6A80: "wrong data",
    0x6A81: "function not supported, or the card is locked",
    0x6A82: "application not found",
    0x6A84: "not enough memory",
    0x9484: "algorithm not supported",
    0x9485: "wrong key check value",
}
"""Words that mean more there than in ISO 7816-4 (clause 11.1.3 and the commands' own tables)."""

STATUS_BY_INS: dict[tuple[int, int], str] = {
    (0x6300, 0x82): "authentication failed: the host cryptogram is wrong",
    (0x6A88, 0x50): "no key of this version",
    (0x6A88, 0xE4): "nothing of this name to delete",
    (0x6A88, 0xF2): "nothing found",
    (0x6985, 0xE4): "it may not be deleted: something still uses it",
}
"""Words that say more after one instruction: (status word, INS)."""

TAGS: dict[int, str] = {
    0x42: "issuer identification number",
    0x45: "card image number",
    0x4F: "application identifier",
    0x5F20: "application provider identifier",
    0x60: "card management type and version",
    0x61: "GlobalPlatform registry entry",
    0x63: "card identification scheme",
    0x64: "secure channel protocol",
    0x65: "card configuration details",
    0x66: "card data",
    0x67: "card capability information",
    0x68: "trust point",
    0x73: "card recognition data",
    0x93: "token identifier",
    0x9E: "signature",
    0x9F65: "maximum length of command data",
    0x9F6E: "application production life cycle data",
    0x9F70: "life cycle state",
    0x9F7F: "card production life cycle data (CPLC)",
    0xB6: "control reference template: digital signature",
    0xC0: "key information",
    0xC1: "sequence counter of the default key version",
    0xC2: "confirmation counter",
    0xC4: "executable load file",
    0xC5: "privileges",
    0xC6: "nonvolatile code minimum memory",
    0xC7: "volatile memory quota",
    0xC8: "nonvolatile memory quota",
    0xC9: "application specific parameters",
    0xCA: "TS 102 226 specific parameters",
    0xCC: "associated security domain",
    0xCE: "executable load file version",
    0xCF: "key diversification data",
    0xD3: "current security level",
    0xD6: "nonvolatile data minimum memory",
    0xD7: "volatile data minimum memory",
    0xE0: "key information template",
    0xE2: "DAP block",
    0xE3: "registry entry",
    0xEA: "TS 102 226 specific template",
    0xEF: "system specific parameters",
    0xFF21: "extended card resources",
}
"""Data objects (clause 11.3.3, table 11-36, annex H)."""

CPLC: tuple[tuple[str, int], ...] = (
    ("IC fabricator", 2),
    ("IC type", 2),
    ("operating system", 2),
    ("operating system date", 2),
    ("operating system level", 2),
    ("IC fabrication date", 2),
    ("IC serial number", 4),
    ("IC batch", 2),
    ("IC module fabricator", 2),
    ("IC module date", 2),
    ("card manufacturer", 2),
    ("embedding date", 2),
    ("pre-personalizer", 2),
    ("pre-personalization date", 2),
    ("pre-personalization equipment", 4),
    ("personalizer", 2),
    ("personalization date", 2),
    ("personalization equipment", 4),
)
"""Fields of 9F7F and their bytes (Visa GlobalPlatform 2.1.1 card production life cycle)."""

PRIVILEGES: tuple[str, ...] = (
    "security domain",
    "DAP verification",
    "delegated management",
    "card lock",
    "card terminate",
    "card reset",
    "CVM management",
    "mandated DAP verification",
    "trusted path",
    "authorized management",
    "token management",
    "global delete",
    "global lock",
    "global registry",
    "final application",
    "global service",
    "receipt generation",
    "ciphered load file data block",
    "contactless activation",
    "contactless self-activation",
)
"""Bits of the privileges, the first byte's highest bit first (clause 11.1.2)."""

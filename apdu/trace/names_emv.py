"""Names of EMV: commands (Book 3 clause 6.5), status words and what the bits of its profiles and results mean.

Books 1 and 3 of EMV 4.4, and for contactless cards Book C-2 (Mastercard) and C-3 (Visa).
"""

__all__ = ["AIP", "COMMANDS", "CRYPTOGRAMS", "STATUS", "STATUS_BY_INS", "TSI", "TVR"]

COMMANDS: dict[int, str] = {
    0x16: "CARD BLOCK",
    0x18: "APPLICATION UNBLOCK",
    0x1E: "APPLICATION BLOCK",
    0x24: "PIN CHANGE/UNBLOCK",
    0x2A: "COMPUTE CRYPTOGRAPHIC CHECKSUM",
    0xA8: "GET PROCESSING OPTIONS",
    0xAE: "GENERATE AC",
    0xCA: "GET DATA",
    0xD0: "RECOVER AC",
    0xDA: "PUT DATA",
    0xDC: "UPDATE RECORD",
    0xEA: "EXCHANGE RELAY RESISTANCE DATA",
}
"""Instructions in classes 80 to 8F; scripts come with secure messaging, classes 84 and 8C."""

STATUS: dict[int, str] = {
    0x6283: "selected; the application is blocked",
    0x6A81: "function not supported, or the card is blocked",
    0x6A82: "no such application or file",
}
"""Words that mean more there than in ISO 7816-4 (Book 1 clause 12, Book 3 clause 6.5)."""

STATUS_BY_INS: dict[tuple[int, int], str] = {
    (0x6300, 0x82): "authentication of the issuer failed",
    (0x6983, 0x20): "the PIN is blocked",
    (0x6984, 0x20): "the PIN is not usable any more",
    (0x6985, 0xA8): "conditions of use not satisfied: the terminal takes another application",
    (0x6985, 0xAE): "conditions of use not satisfied: too many cryptograms",
    (0x6985, 0x82): "conditions of use not satisfied: the issuer was authenticated before",
    (0x6A83, 0xB2): "record not found: the end of the file",
    (0x6986, 0xA8): "command not allowed: use another interface",
}
"""Words that say more after one instruction: (status word, INS)."""

CRYPTOGRAMS: dict[int, str] = {
    0x00: "AAC: declined",
    0x40: "TC: approved offline",
    0x80: "ARQC: wants to go online",
    0xC0: "reserved",
}
"""High two bits of the cryptogram information data and of P1 of GENERATE AC (Book 3, tables 12 and 15)."""

AIP: dict[int, str] = {
    0x4000: "SDA",
    0x2000: "DDA",
    0x1000: "cardholder verification",
    0x0800: "terminal risk management",
    0x0400: "issuer authentication",
    0x0200: "on-device cardholder verification",
    0x0100: "CDA",
    0x0080: "EMV mode",
    0x0001: "relay resistance protocol",
}
"""Bits of the application interchange profile: what the card supports (Book 3 annex C1, C-2 annex A)."""

TVR: dict[int, str] = {
    0x8000000000: "offline data authentication was not performed",
    0x4000000000: "SDA failed",
    0x2000000000: "card data missing",
    0x1000000000: "card on the terminal's exception file",
    0x0800000000: "DDA failed",
    0x0400000000: "CDA failed",
    0x0200000000: "SDA selected",
    0x0080000000: "other application versions",
    0x0040000000: "application expired",
    0x0020000000: "application not yet effective",
    0x0010000000: "service not allowed for this card",
    0x0008000000: "new card",
    0x0000800000: "cardholder verification failed",
    0x0000400000: "unknown verification method",
    0x0000200000: "PIN tries exceeded",
    0x0000100000: "PIN wanted, but the pin pad is missing or broken",
    0x0000080000: "PIN wanted, but not entered",
    0x0000040000: "online PIN entered",
    0x0000008000: "above the floor limit",
    0x0000004000: "lower limit of offline transactions exceeded",
    0x0000002000: "upper limit of offline transactions exceeded",
    0x0000001000: "chosen at random for online",
    0x0000000800: "merchant forced online",
    0x0000000080: "default TDOL used",
    0x0000000040: "authentication of the issuer failed",
    0x0000000020: "script failed before the final GENERATE AC",
    0x0000000010: "script failed after the final GENERATE AC",
    0x0000000008: "relay resistance threshold exceeded",
    0x0000000004: "relay resistance time limits exceeded",
}
"""Bits of the terminal verification results (Book 3 annex C5)."""

TSI: dict[int, str] = {
    0x8000: "offline data authentication performed",
    0x4000: "cardholder verification performed",
    0x2000: "card risk management performed",
    0x1000: "authentication of the issuer performed",
    0x0800: "terminal risk management performed",
    0x0400: "script processed",
}
"""Bits of the transaction status information (Book 3 annex C6)."""

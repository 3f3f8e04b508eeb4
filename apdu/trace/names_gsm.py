"""Names of the commands of a GSM SIM, class A0 (GSM 11.11 clause 9.2, GSM 11.14 for the last four)."""

__all__ = ["COMMANDS"]

COMMANDS: dict[int, str] = {
    0x04: "INVALIDATE",
    0x20: "VERIFY CHV",
    0x24: "CHANGE CHV",
    0x26: "DISABLE CHV",
    0x28: "ENABLE CHV",
    0x2C: "UNBLOCK CHV",
    0x32: "INCREASE",
    0x44: "REHABILITATE",
    0x88: "RUN GSM ALGORITHM",
    0xA2: "SEEK",
    0xA4: "SELECT",
    0xB0: "READ BINARY",
    0xB2: "READ RECORD",
    0xC0: "GET RESPONSE",
    0xD6: "UPDATE BINARY",
    0xDC: "UPDATE RECORD",
    0xF2: "STATUS",
    0xFA: "SLEEP",
    0x10: "TERMINAL PROFILE",
    0xC2: "ENVELOPE",
    0x12: "FETCH",
    0x14: "TERMINAL RESPONSE",
}
"""Instructions in class A0."""

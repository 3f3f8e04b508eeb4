"""The host: connections to cards, virtual readers, sessions, and the patent's terminals."""

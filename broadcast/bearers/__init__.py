"""The bearers of packets: datagrams, sound, a pager and the public line; see broadcast.bearer."""

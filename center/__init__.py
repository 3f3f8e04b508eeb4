"""The center (23, 34): keys, registry, theft reports, editions, credit, the float. A library on SQLite."""

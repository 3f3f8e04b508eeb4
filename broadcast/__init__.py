"""The blacklist and its way through the air: edition, head, and proof tree over the listed cards."""

"""Networks that make pictures larger, by what they make of the same pictures."""

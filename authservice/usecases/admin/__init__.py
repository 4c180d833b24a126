"""What operators do: one story per file."""

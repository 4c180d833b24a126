"""One servicer per area: each method decodes, calls one story, encodes."""

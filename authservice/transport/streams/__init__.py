"""Streams that stay open for hours, served by a few threads."""

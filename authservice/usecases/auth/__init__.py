"""Registering, logging in and out, refreshing, verifying: one story per file."""

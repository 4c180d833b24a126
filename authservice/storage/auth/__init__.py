"""Accounts, sessions and login attempts."""

"""Keys, sealed secrets and the rules about revoked tokens."""

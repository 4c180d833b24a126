"""Whether a call is let through: docs/local-verification.md. Nothing here waits, and nothing here knows gRPC.

The authentication service guards itself by these modules too, with its database as the authority.
"""

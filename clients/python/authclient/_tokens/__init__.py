"""Access tokens: their grammar, their claims, and the keys that sign them.

The authentication service reads and makes its own tokens by these modules too, so there is one reader.
"""

"""The `authservice` command. One verb per module; each reads its arguments, calls, prints.

Exit codes: 0 done; 1 the command was understood and could not be carried out; 2 wrong arguments; 3 settings missing or
unusable; 4 the database does not answer.
"""

from authservice.cli.root import main

__all__ = ["main"]

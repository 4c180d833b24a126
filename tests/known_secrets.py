"""Writes authservice/config/known_secrets.txt from public lists: `python -m tests.known_secrets LIST...`.

The lists are those that scanners try, one secret a line. Those in use are named in the file itself.
"""

import sys
from pathlib import Path

from authservice.config import weak_secrets

LEAST_BYTES = 32
"""Shorter ones are refused for that."""


def main() -> None:
    """Keep what begins with # and add the digests of what the lists hold."""
    path = Path(weak_secrets.__file__).with_name("known_secrets.txt")
    heading = [line for line in path.read_text("ascii").splitlines() if line.startswith("#")]
    texts = (Path(name).read_text(errors="ignore") for name in sys.argv[1:])
    secrets = {
        line.strip() for text in texts for line in text.splitlines() if len(line.strip().encode()) >= LEAST_BYTES
    }
    path.write_text("\n".join([*heading, *sorted({weak_secrets.digest_of(secret) for secret in secrets})]) + "\n")


if __name__ == "__main__":
    main()

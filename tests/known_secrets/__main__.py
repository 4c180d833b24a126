"""Writes clients/python/authclient/_tokens/known_secrets.txt: `python -m tests.known_secrets LIST`.

LIST is wordlists/all.txt of the package flask-unsign-wordlist, of the version that the heading of the file names: one
secret a line, as a literal of Python. What documentation gives as an example is added from documented.txt beside this.
"""

import ast
import sys
from pathlib import Path

from authclient._tokens import weak_secrets

LEAST_BYTES = 32
"""Shorter ones are refused for that."""
DOCUMENTED = Path(__file__).with_name("documented.txt")


def documented() -> list[str]:
    """Return the secrets that stand in documentation."""
    return [line for line in DOCUMENTED.read_text("utf-8").splitlines() if line and not line.startswith("# ")]


def scraped(path: Path) -> set[str]:
    """Return those secrets of the list that are long enough, without the few lines that are no literal."""
    secrets = set()
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            secret = str(ast.literal_eval(line)).strip()
        except (SyntaxError, ValueError):
            continue
        if len(secret.encode(errors="replace")) >= LEAST_BYTES:
            secrets.add(secret)
    return secrets


def main() -> None:
    """Keep what begins with # and write the digests anew."""
    path = Path(weak_secrets.__file__).with_name("known_secrets.txt")
    heading = [line for line in path.read_text("ascii").splitlines() if line.startswith("#")]
    digests = {weak_secrets.digest_of(secret) for secret in [*documented(), *scraped(Path(sys.argv[1]))]}
    path.write_text("\n".join([*heading, *sorted(digests)]) + "\n", "ascii")


if __name__ == "__main__":
    main()

"""Writes clients/vectors: what is decided, and in which words it is refused."""

from collections import Counter
from pathlib import Path

from tests.vectors.writing import collected, refusal_texts, text_of

FOLDER = Path(__file__).parents[2] / "clients" / "vectors"
FILE = FOLDER / "verification.json"
REFUSALS = FOLDER / "refusals.json"


def main() -> None:
    """Write the files and say what is in them."""
    book = collected()
    text = text_of(book)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text, encoding="ascii", newline="\n")
    REFUSALS.write_text(refusal_texts(), encoding="ascii", newline="\n")
    counts = Counter(check for case in book.cases for check in case["checks"])
    for check in sorted(counts, key=lambda name: (len(name), name)):
        print(f"{check:8} {counts[check]:5}")
    print(f"{len(book.key_set_cases)} key sets, {len(book.rule_cases)} rules, {len(book.cases)} cases")
    print(f"{len(text):,} bytes")


if __name__ == "__main__":
    main()

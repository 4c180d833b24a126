"""Writes clients/vectors/verification.json."""

from collections import Counter
from pathlib import Path

from tests.vectors.writing import collected, text_of

FILE = Path(__file__).parents[2] / "clients" / "vectors" / "verification.json"


def main() -> None:
    """Write the file and say what is in it."""
    book = collected()
    text = text_of(book)
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text, encoding="ascii", newline="\n")
    counts = Counter(check for case in book.cases for check in case["checks"])
    for check in sorted(counts, key=lambda name: (len(name), name)):
        print(f"{check:8} {counts[check]:5}")
    print(f"{len(book.key_set_cases)} key sets, {len(book.rule_cases)} rules, {len(book.cases)} cases")
    print(f"{len(text):,} bytes")


if __name__ == "__main__":
    main()

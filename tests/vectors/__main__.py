"""Writes clients/vectors: what is decided, and in which words it is refused."""

from collections import Counter

from tests.vectors.reading import FOLDER
from tests.vectors.writing import collected, files_of


def main() -> None:
    """Write the files and say what is in them."""
    book = collected()
    files = files_of(book)
    FOLDER.mkdir(exist_ok=True)
    for name, text in files.items():
        (FOLDER / name).write_text(text, encoding="ascii", newline="\n")
    counts = Counter(check for case in book.cases for check in case["checks"])
    for check in sorted(counts, key=lambda name: (len(name), name)):
        print(f"{check:8} {counts[check]:5}")
    print(f"{len(book.key_set_cases)} key sets, {len(book.rule_cases)} rules, {len(book.cases)} cases")
    texts = files.values()
    print(f"{len(files)} files, {sum(text.count(chr(10)) for text in texts):,} lines, {sum(map(len, texts)):,} bytes")


if __name__ == "__main__":
    main()

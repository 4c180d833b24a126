"""The golden vectors: cases that every token verifier has to pass. `python -m tests.vectors` writes them."""

"""`python -m authservice` is the `authservice` command."""

from authservice.cli import main

if __name__ == "__main__":
    main()

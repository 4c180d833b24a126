"""`python -m benchmarks`: measure everything side by side and print the table. See `benchmarks.table`."""

if __name__ == "__main__":
    # Here, because processes that only make a load import this module too.
    from benchmarks.table import main

    main()

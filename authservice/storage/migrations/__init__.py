"""Schema changes, in expand/contract form: version N and N-1 of the service both work on what each of them leaves."""

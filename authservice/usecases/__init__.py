"""One story per file, each a class that is built once with its collaborators and called for each request."""

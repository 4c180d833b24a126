"""A release: one version, said in the changelog, in wheel, npm package and Go module, and in two tags."""

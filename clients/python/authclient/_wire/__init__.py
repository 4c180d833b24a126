"""What callers, guarded services and the authentication service say to each other, and over which connections."""

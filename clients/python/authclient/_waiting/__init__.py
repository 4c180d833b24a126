"""How threads and event loops wait for the same things."""

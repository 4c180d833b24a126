"""Keys and revocations, for services that check tokens by themselves."""

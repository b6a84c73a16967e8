"""Model bundles: the card, the checks, the store."""

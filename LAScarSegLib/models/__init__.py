"""Model bundles: the card, the checks, the store, and fetching what a package left out."""

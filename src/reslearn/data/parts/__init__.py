"""Which picture is which, and which part it belongs to: keys, identities, groups, splits, manifests."""

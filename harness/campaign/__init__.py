"""Running many cases and keeping what came of them."""

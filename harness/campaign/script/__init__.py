"""The parts of a standalone script: numbers, the cards' functions, the unrolled network or update, the page."""

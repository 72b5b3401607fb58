"""From stored results to pages."""

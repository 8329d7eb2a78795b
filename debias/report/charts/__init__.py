"""Charts as SVG; what they share is in ``style``."""

"""How good a representation is: what it explains, draws, takes apart, can do, and for whom."""

"""How a run moves on: which jobs may start, handing them over, learning how they ended."""

"""Facts: which models there are, which instance types, and where AWS draws the line. Data first, little code."""

"""Measurements: figures beside a floor taken in the same run. Ratios, statements and commits are the result."""

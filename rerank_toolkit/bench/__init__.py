"""Measures endpoints: profiles for the cost model."""

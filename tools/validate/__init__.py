"""Predictions held against what was measured or published, and the tables of docs/validation.md."""

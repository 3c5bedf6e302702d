"""docs/reference/, written from the code: `python -m tools.reference`, or `make reference`."""

"""Questions and passages from Python's documentation; README.md beside this file gives source, rule and licence."""

"""From what was used to the lines of a bill: one function a kind of item."""

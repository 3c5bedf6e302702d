"""What the cost model predicts, held against figures that it doesn't know: published ones and our own, left out."""

"""What the container, the cost model and the stacks share, and what surrounds them."""

__version__ = "0.1.0"

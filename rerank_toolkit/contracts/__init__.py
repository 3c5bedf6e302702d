"""What the parts say to each other: bodies on the wire, settings, and the files they exchange."""

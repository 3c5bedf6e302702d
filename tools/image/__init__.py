"""Builds the container images and tries them as SageMaker would run them: `make image`."""

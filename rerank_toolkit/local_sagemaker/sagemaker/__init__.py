"""Our SageMaker: endpoints that run the container's own server, each as a process behind its /ping."""

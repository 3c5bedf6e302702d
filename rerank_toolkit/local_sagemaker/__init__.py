"""An AWS on this machine: moto keeps the state, our CloudFormation deploys, endpoints run the real container."""

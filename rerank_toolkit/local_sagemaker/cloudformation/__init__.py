"""Our CloudFormation: what moto's lacks is order, replacement, rollback and per-resource events."""

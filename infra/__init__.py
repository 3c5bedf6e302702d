"""The CDK app: renders a plan as CloudFormation, and computes nothing else.

Synthesis needs no credentials, network or Docker.
"""

"""Findings of cdk-nag that stand, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct

COMPLIANCE_PACKS = ("HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321")


def acknowledge(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Notes on `construct` why each finding, by its id, is meant to be so."""
    for finding, reason in reasons.items():
        Validations.of(construct).acknowledge(Acknowledgment(id=finding, reason=reason))


def in_packs(rule: str, reason: str) -> dict[str, str]:
    """The same rule goes by one id in each pack of compliance rules."""
    return {f"{pack}-{rule}": reason for pack in COMPLIANCE_PACKS}

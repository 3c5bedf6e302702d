"""Templates that bills are made of, as tests need them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cost_model.prices.book import Rate, shipped_prices
from cost_model.templates.billing import bill_template
from cost_model.templates.charges import Charge
from cost_model.templates.template import Template, convert_template
from rerank_toolkit.contracts.errors import InvalidInput

PRICES = shipped_prices()
REGION = "us-east-1"

VARIANT = {"VariantName": "AllTraffic", "InstanceType": "ml.c7i.xlarge", "InitialInstanceCount": 2}
ENDPOINT_NAME = {"Fn::GetAtt": ["Endpoint", "EndpointName"]}
SCALED = {
    "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
    "Properties": {
        "ResourceId": {"Fn::Join": ["/", ["endpoint", ENDPOINT_NAME, "variant", "AllTraffic"]]},
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "MinCapacity": 1,
        "MaxCapacity": 4,
    },
}


def rate(instance: str, region: str = REGION) -> Decimal:
    found = PRICES.hosting(region, instance)
    assert isinstance(found, Rate)
    return found.usd


def endpoint(*variants: Mapping[str, Any], **config: Any) -> dict[str, Any]:
    return {
        "Config": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {"ProductionVariants": list(variants or [VARIANT]), **config},
        },
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {
                "EndpointName": "RerankTinyCpu",
                "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]},
            },
        },
    }


def scaled(**properties: Any) -> dict[str, Any]:
    return {**SCALED, "Properties": {**SCALED["Properties"], **properties}}


def template(resources: Mapping[str, Any], *, stack: str = "Stack", region: str = REGION, **more: Any) -> Template:
    body = convert_template({"Resources": resources, **more}, name=stack)
    return Template(stack=stack, region=region, source=stack, body=body)


def charges(resources: Mapping[str, Any], of: str = "Endpoint", **more: Any) -> list[Charge]:
    (found,) = [one for one in bill_template(template(resources, **more), PRICES) if one.id == of]
    return list(found.charges)


def fixed(resources: Mapping[str, Any], of: str = "Endpoint", **more: Any) -> list[Charge]:
    return [charge for charge in charges(resources, of, **more) if charge.kind == "fixed"]


def faults(resources: Mapping[str, Any], **more: Any) -> list[str]:
    with pytest.raises(InvalidInput) as raised:
        bill_template(template(resources, **more), PRICES)
    return [str(fault) for fault in raised.value.faults]


def write(path: Path, resources: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"Resources": resources}))
    return path

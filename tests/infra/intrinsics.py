"""What CloudFormation will make of a template's values, as far as a test can say it."""

from __future__ import annotations

from typing import Any


def as_text(value: Any) -> str:
    """The string that CloudFormation will put together, references in angle brackets."""
    match value:
        case str():
            return value
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(as_text(part) for part in parts)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::ImportValue": name}:
            return "<bucket>" if "Bucket" in name else "<key>"
        case {"Ref": name}:
            return f"<{name}>"
    raise AssertionError(value)

"""CloudWatch Logs: another key for a group that stands."""

from __future__ import annotations

import json

from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.models import LogGroup
from moto.logs.responses import LogsResponse

from rerank_toolkit.local_sagemaker.additions.actions import add_actions


def associate_kms_key(self: LogsResponse) -> str:
    _group(self).kms_key_id = self._get_param("kmsKeyId")
    return json.dumps({})


def disassociate_kms_key(self: LogsResponse) -> str:
    _group(self).kms_key_id = None
    return json.dumps({})


def _group(response: LogsResponse) -> LogGroup:
    group = response.logs_backend.groups.get(response._get_param("logGroupName"))
    if group is None:
        raise ResourceNotFoundException
    return group


def install() -> None:
    add_actions(LogsResponse, associate_kms_key, disassociate_kms_key)

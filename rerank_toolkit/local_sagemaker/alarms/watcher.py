"""Looks at the alarms every second: their state follows their metrics, and what they are to do when it changes is done.

A state that was set by hand (SetAlarmState) counts as any other, and stays until the metrics change their mind.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection
from datetime import UTC, datetime
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.cloudwatch.models import cloudwatch_backends

from rerank_toolkit.local_sagemaker.additions.cloudwatch import Rule
from rerank_toolkit.local_sagemaker.alarms.evaluation import Verdict, judge
from rerank_toolkit.local_sagemaker.alarms.metric_data import MetricData
from rerank_toolkit.local_sagemaker.alarms.step_scaling import StepScaling
from rerank_toolkit.local_sagemaker.clients import Clients

if TYPE_CHECKING:
    from moto.cloudwatch.models import Alarm

logger = logging.getLogger(__name__)

_SCALES = ":scalingPolicy:"

_EVERY_S = 1.0
_SCALE_AGAIN_S = 10.0
"""An alarm that goes on ringing scales again, after its policy's cooldown; on AWS each minute."""


class Alarms:
    def __init__(self, clients: Clients, *, region: str, account: str) -> None:
        self._clients = clients
        self._region = region
        self._account = account
        self._backend = cloudwatch_backends[account][region]
        self._data = MetricData(self._backend.metric_data)
        self.scaling = StepScaling(clients)
        self._judged: dict[str, tuple[datetime, str]] = {}
        """By alarm: since when it is as it is, and the state that its metrics last put it into."""
        self._newest: dict[str, float | None] = {}
        """By alarm, the last datapoint."""
        self._acted: dict[str, str] = {}
        """By alarm, the state on which its actions were run."""
        self._lock = Lock()

    def start(self) -> None:
        Thread(target=self._look_regularly, name="alarms", daemon=True).start()

    def missing(self, names: Collection[str]) -> list[str]:
        """Those that nobody has made."""
        return [name for name in names if name not in self._backend.alarms]

    def ringing(self, names: Collection[str], *, scale: float = 1.0) -> str | None:
        """Which of the alarms ring, and why; None if none does. With a `scale` below 1 time passes faster: their
        periods are so much shorter."""
        if not names:
            return None
        self._look(scale=scale, only=names)
        found = [alarm for name in names if (alarm := self._backend.alarms.get(name)) and alarm.state_value == "ALARM"]
        told = "; ".join(f"{alarm.name}: {alarm.state_reason}" for alarm in found)
        return f"Rolled back, for alarms rang: {told}" if found else None

    def _look_regularly(self) -> None:
        scaled = time.monotonic()
        while True:  # CloudWatch ends with this process as well
            time.sleep(_EVERY_S)
            try:
                self._look()
                if time.monotonic() - scaled > _SCALE_AGAIN_S:
                    scaled = time.monotonic()
                    self._scale_again()
            except Exception:  # a defect of ours must not silence the other alarms
                logger.exception("looking at alarms")

    def _look(self, *, scale: float = 1.0, only: Collection[str] | None = None) -> None:
        with self._lock:
            self._data.refresh()
            alarms = dict(self._backend.alarms)
            for name, alarm in alarms.items():
                if alarm.rule is None and (only is None or name in only):
                    self._judge(alarm, scale)
            for alarm in alarms.values():
                if alarm.rule is not None:
                    self._follow(alarm, alarms)
            changed = [alarm for alarm in alarms.values() if self._acted.get(alarm.name, "OK") != alarm.state_value]
            self._acted = {alarm.name: alarm.state_value for alarm in alarms.values()}
        for alarm in changed:
            self._act(alarm)

    def _scale_again(self) -> None:
        for alarm in list(self._backend.alarms.values()):
            if alarm.state_value == "ALARM" and alarm.actions_enabled:
                self._scale(alarm)

    def _judge(self, alarm: Alarm, scale: float) -> None:
        verdict = judge(alarm, self._data, time.time(), scale=scale)
        self._newest[alarm.name] = verdict.value
        configured = alarm.configuration_updated_timestamp
        before = self._judged.get(alarm.name)
        if before != (configured, verdict.state):
            self._judged[alarm.name] = configured, verdict.state
            if verdict.state != alarm.state_value and not _is_first_silence(before, configured, verdict):
                alarm.update_state(verdict.reason, json.dumps({"value": verdict.value}), verdict.state)

    @staticmethod
    def _follow(alarm: Alarm, alarms: dict[str, Alarm]) -> None:
        state = "ALARM" if Rule(alarm.rule or "").holds(alarms) else "OK"
        if state != alarm.state_value:
            alarm.update_state(f"by {alarm.rule}", "{}", state)

    def _act(self, alarm: Alarm) -> None:
        actions = {
            "ALARM": alarm.alarm_actions,
            "OK": alarm.ok_actions,
            "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
        }[alarm.state_value]
        logger.info("alarm %s is %s: %s", alarm.name, alarm.state_value, alarm.state_reason)
        if not alarm.actions_enabled:
            return
        for action in actions or ():
            if ":sns:" in action:
                self._publish(alarm, action)
            elif _SCALES not in action:
                logger.warning("alarm %s: the local AWS does not know the action %s", alarm.name, action)
        if alarm.state_value == "ALARM":
            self._scale(alarm)

    def _scale(self, alarm: Alarm) -> None:
        """By the policies that it names."""
        value = self._newest.get(alarm.name)
        over_by = 0.0 if value is None else value - float(alarm.threshold or 0.0)
        for action in alarm.alarm_actions or ():
            if _SCALES in action:
                self.scaling.execute(action, alarm=alarm.name, over_by=over_by)

    def _publish(self, alarm: Alarm, topic: str) -> None:
        try:
            self._clients("sns").publish(
                TopicArn=topic,
                Subject=f'{alarm.state_value}: "{alarm.name}"'[:100],
                Message=json.dumps(self._tell(alarm)),
            )
        except (ClientError, BotoCoreError) as error:
            logger.warning("alarm %s reached nobody: %s", alarm.name, error)

    def _tell(self, alarm: Alarm) -> dict[str, Any]:
        """The members that people's handlers read; CloudWatch sends some more."""
        return {
            "AlarmName": alarm.name,
            "AlarmDescription": alarm.description,
            "AWSAccountId": self._account,
            "AlarmArn": alarm.alarm_arn,
            "NewStateValue": alarm.state_value,
            "NewStateReason": alarm.state_reason,
            "OldStateValue": alarm.history[-1][3] if alarm.history else "INSUFFICIENT_DATA",
            "StateChangeTime": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "Region": self._region,
            "Trigger": {"MetricName": alarm.metric_name, "Namespace": alarm.namespace, "Threshold": alarm.threshold},
        }


def _is_first_silence(before: tuple[datetime, str] | None, configured: datetime, verdict: Verdict) -> bool:
    """A new alarm without data stays as moto made it, or a caller set it, until there are some: nothing has happened
    yet. Unless no data is what it waits for."""
    new = before is None or before[0] != configured
    return new and verdict.value is None and verdict.state != "ALARM"

"""The alarms of one stack: all of them tell the same topic, and say where the runbook begins."""

from __future__ import annotations

from collections.abc import Iterable

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.acknowledgements import acknowledge, in_packs
from infra.alarm import Alarm, add_alarm
from infra.alarm_rules import idle_names, idle_parts
from infra.fleets import Fleet
from rerank_toolkit.contracts.plan import Deployment


class Alarms(Construct):
    def __init__(self, scope: Construct, alarms: Iterable[Alarm], *, topic_arn: str, runbook: str) -> None:
        super().__init__(scope, "Alarms")
        self._topic, self._runbook = topic_arn, runbook
        self._added = {
            alarm.full_name: add_alarm(self, alarm, runbook=runbook, actions=[topic_arn]) for alarm in alarms
        }

    def named(self, alarm: Alarm) -> cloudwatch.CfnAlarm:
        """What `alarm`, one of those that it was made with, became."""
        return self._added[alarm.full_name]

    def add_idle(self, deployment: Deployment) -> None:
        """Those that `idle_names` names."""
        for name, fleet in idle_names(deployment).items():
            self._add_idle(name, fleet)

    def _add_idle(self, name: str, fleet: Fleet) -> None:
        unasked, running = (
            add_silent_alarm(self, part, runbook=self._runbook, why="half of a composite alarm, which tells of both")
            for part in idle_parts(fleet)
        )
        cloudwatch.CfnCompositeAlarm(
            self,
            fleet.named("idle"),
            alarm_name=name,
            alarm_description=f"Instances run and bill, and nobody has asked them for a day. See {self._runbook}#idle",
            alarm_rule=f'ALARM("{unasked.ref}") AND ALARM("{running.ref}")',
            alarm_actions=[self._topic],
            ok_actions=[self._topic],
        )


def add_silent_alarm(scope: Construct, alarm: Alarm, *, runbook: str, why: str) -> cloudwatch.CfnAlarm:
    """One that tells nobody, because something else looks at it."""
    added = add_alarm(scope, alarm, runbook=runbook, actions=[])
    acknowledge(added, in_packs("CloudWatchAlarmAction", why))
    return added

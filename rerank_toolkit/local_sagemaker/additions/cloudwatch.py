"""CloudWatch: alarms that follow from other alarms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import Alarm
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from rerank_toolkit.local_sagemaker.additions.actions import add_actions

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"(?P<quoted>[^"]+)"|(?P<plain>[^\s()"]+))\s*\)
        | (?P<word>AND|OR|NOT|TRUE|FALSE|\(|\))
    )""",
    re.VERBOSE,
)

_describe_alarms = CloudWatchResponse.describe_alarms


def put_composite_alarm(self: CloudWatchResponse) -> ActionResult:
    rule = Rule(self._get_param("AlarmRule"))
    alarms = self.cloudwatch_backend.alarms
    if missing := sorted(rule.alarms - set(alarms)):
        raise ValidationError(f"Could not create the alarm: it names alarms that do not exist: {', '.join(missing)}")
    return self.put_metric_alarm()  # where moto has room for a rule


def describe_alarms(self: CloudWatchResponse) -> ActionResult:
    """Brings the composite ones up to date first."""
    alarms = self.cloudwatch_backend.alarms
    for alarm in list(alarms.values()):
        if alarm.rule is None:
            continue
        state = "ALARM" if Rule(alarm.rule).holds(alarms) else "OK"
        if state != alarm.state_value:
            alarm.update_state(f"by {alarm.rule}", "{}", state)
    return _describe_alarms(self)


class Rule:
    """An alarm rule: functions of alarms' states, joined by NOT, AND and OR, which bind in this order.

    Raises ValidationError for one that is malformed.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split(text))
        self.alarms = frozenset(name for _, name in self._tokens if name)
        self._evaluate({})

    def holds(self, alarms: Mapping[str, Alarm]) -> bool:
        """An alarm that is no more is in no state."""
        return self._evaluate({name: alarm.state_value for name, alarm in alarms.items()})

    def _split(self, text: str) -> Iterator[tuple[str, str]]:
        """Words, and states with the alarm that is to be in them."""
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._malformed()
            position = match.end()
            name = match["quoted"] or match["plain"] or ""
            yield match["state"] or match["word"], name.rpartition(":alarm:")[2]

    def _evaluate(self, states: Mapping[str, str]) -> bool:
        tokens = iter([*self._tokens, ("", "")])
        upcoming = next(tokens)

        def take() -> tuple[str, str]:
            nonlocal upcoming
            taken, upcoming = upcoming, next(tokens, ("", ""))
            return taken

        def either() -> bool:
            value = both()
            while upcoming[0] == "OR":
                take()
                value = both() or value  # what follows must be read in any case
            return value

        def both() -> bool:
            value = single()
            while upcoming[0] == "AND":
                take()
                value = single() and value
            return value

        def single() -> bool:
            word, name = take()
            if name:
                return states.get(name) == word
            match word:
                case "TRUE" | "FALSE":
                    return word == "TRUE"
                case "NOT":
                    return not single()
                case "(":
                    value = either()
                    if take()[0] == ")":
                        return value
            raise self._malformed()

        value = either()
        if upcoming[0]:
            raise self._malformed()
        return value

    def _malformed(self) -> ValidationError:
        return ValidationError(f"AlarmRule {self._text!r} can't be read")


def install() -> None:
    add_actions(CloudWatchResponse, put_composite_alarm, describe_alarms)

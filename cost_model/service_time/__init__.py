"""How long a request takes: a law fitted to a measured profile, in the terms of the container's own scheduling.

    workload ─► moments ◄─ law ◄─ layout, passes ◄─ profile
                   └─► speed ─► (cost_model.scaling) ─► another machine

A request is cut into batches (`layout`) and a batch into `passes`; they take an engine what the `law` says, and a
workload's mean request follows (`request`), alone and among others (`saturation`). `find_speed` takes the profile that
tells most of a model.
"""

from cost_model.service_time.law import Law, fit
from cost_model.service_time.layout import Layout, lay_out
from cost_model.service_time.profiles import PROFILES, MeasuredModel, load_profiles
from cost_model.service_time.request import Moments, request_moments
from cost_model.service_time.speed import Speed, find_speed

__all__ = [
    "PROFILES",
    "Law",
    "Layout",
    "MeasuredModel",
    "Moments",
    "Speed",
    "find_speed",
    "fit",
    "lay_out",
    "load_profiles",
    "request_moments",
]

from __future__ import annotations

# OpenVINO's package imports its model converter, and that reports each import to Google Analytics. The container
# converts nothing and calls nobody: where this module can't be imported, OpenVINO does without.
import sys

sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]

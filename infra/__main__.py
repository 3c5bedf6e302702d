"""`python -m infra`: what `cdk` runs to learn the stacks."""

from __future__ import annotations

import sys

from infra.app import main

if __name__ == "__main__":
    sys.exit(main())

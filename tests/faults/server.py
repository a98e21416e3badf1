"""A changed server: `python -m tests.faults.server CHANGE serve PROJECT ...`.

The change is made at import, so that the processes that the server starts, which import this module again, have it too.
"""

import os
import sys

from reference.__main__ import main
from tests.faults.registry import find

_NAME = "SERVECHECK_FAULT"

if _NAME not in os.environ:
    os.environ[_NAME] = sys.argv.pop(1)
find(os.environ[_NAME]).apply()

if __name__ == "__main__":
    sys.exit(main())

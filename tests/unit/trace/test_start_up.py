"""Importing the package costs next to nothing."""

from __future__ import annotations

import subprocess
import sys

from command_line import LIMIT_S


def test_the_package_imports_neither_numpy_nor_pyarrow_until_it_is_used() -> None:
    code = "import sys, harness.trace; sys.exit('numpy' in sys.modules or 'pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=LIMIT_S).returncode == 0

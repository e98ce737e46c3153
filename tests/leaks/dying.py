"""A program that says on standard error all it was given, and ends."""

import os
import sys

planted = {name: value for name, value in os.environ.items() if name.startswith("PLANTED")}
print(f"cannot start with argv={sys.argv[1:]} environ={planted}", file=sys.stderr, flush=True)
sys.exit(3)

import sys
from pathlib import Path

# The benchmarks are no part of the installed package; they are imported from the root of the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

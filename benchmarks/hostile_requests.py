"""Hundreds of hostile requests against real servers, and a look at everything after each of them.

    python -m benchmarks.hostile_requests [--only TEXT] [--markdown FILE]

No answer may be a server error, every refusal has the contract's form and tells nothing of the machine, nothing is
written outside the studies folder, nothing temporary is left, and the server answers as before.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from cardiac_motion.atomic import atomic_path

from benchmarks.hostile import access, dicom, files, forms, ids, params, raw, routes, segmentation
from benchmarks.hostile.request import Hostile
from benchmarks.hostile.site import hostile_site

GROUPS: dict[str, list[Hostile]] = {
    "ids, tags, versions": ids.REQUESTS,
    "routes, methods, names, jobs": routes.REQUESTS,
    "parameters": params.REQUESTS,
    "segmentation and alignment": segmentation.REQUESTS,
    "files": files.REQUESTS,
    "DICOM archives": dicom.REQUESTS,
    "hosts, origins, tokens": access.REQUESTS,
    "ranges and forms": forms.REQUESTS,
    "bad HTTP": raw.REQUESTS,
}

REQUESTS = [each for group in GROUPS.values() for each in group]


def _table(found: dict[str, list[str]]) -> str:
    lines = ["| requests | sent | with a problem |", "| --- | --- | --- |"]
    for name, group in GROUPS.items():
        sent = [each for each in group if each.name in found]
        lines.append(f"| {name} | {len(sent)} | {sum(bool(found[each.name]) for each in sent)} |")
    lines.append(f"| all | {len(found)} | {sum(map(bool, found.values()))} |")
    problems = [f"- {name}: {'; '.join(wrong)}" for name, wrong in found.items() if wrong]
    return "\n".join([*lines, *(["", *problems] if problems else [])])


def main(arguments: Sequence[str] | None = None) -> int:
    """Send all; 0 if nothing is wrong, else 1."""
    parser = argparse.ArgumentParser(description="Hostile requests against real servers.")
    parser.add_argument("--only", default="", help="requests whose name holds this text")
    parser.add_argument("--markdown", type=Path, help="write the table to this file, too")
    chosen = parser.parse_args(arguments)
    twice = [name for name, count in Counter(each.name for each in REQUESTS).items() if count > 1]
    if twice:
        parser.error(f"expected every name once, got twice: {twice}")
    with TemporaryDirectory(prefix="hostile-") as around, hostile_site(Path(around)) as site:
        found = {}
        for each in REQUESTS:
            if chosen.only in each.name:
                found[each.name] = site.problems(each)
                if found[each.name]:
                    print(f"{each.name}: {found[each.name]}", file=sys.stderr, flush=True)
        found["the end"] = site.wrong_in_the_end()
    text = _table(found)
    print(text)
    if chosen.markdown:
        with atomic_path(chosen.markdown) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    return int(any(found.values()))


if __name__ == "__main__":
    raise SystemExit(main())

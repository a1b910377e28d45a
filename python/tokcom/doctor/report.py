"""The whole examination: every check, in order of dependence."""

import json
import sys
from collections.abc import Callable, Iterator

from tokcom.doctor import machine, models, python, radio
from tokcom.doctor.finding import Finding, State

CHECKS: dict[str, tuple[Callable[[], Finding | list[Finding]], ...]] = {
    "Python": (python.python, python.packages, python.laboratory, machine.kernel_cache),
    "GNU Radio": (radio.gnuradio, radio.blocks, radio.companion),
    "Models": (models.models,),
    "Radio": (radio.uhd, machine.real_time, machine.socket_buffers),
    "Machine": (machine.processor, machine.memory, machine.disk),
}
MARKS = {State.OK: "  ok ", State.NOTE: "note ", State.WARNING: "WARN ", State.FAILURE: "FAIL "}


def examine() -> Iterator[Finding]:
    """Yield all findings, each as soon as it is available. A check that crashes is a finding, too."""
    for checks in CHECKS.values():
        for check in checks:
            try:
                findings = check()
            except Exception as error:
                subject = f"{check.__module__.rpartition('.')[2]}.{check.__name__}"
                found = f"the check itself failed: {type(error).__name__}: {error}"
                findings = Finding(subject, State.WARNING, found, "please report this line")
            yield from findings if isinstance(findings, list) else [findings]


def doctor(as_json: bool = False) -> int:
    """Examine the installation and print what is found on standard output.

    Args:
        as_json: print one list of objects instead of lines.

    Returns:
        The exit code: 1 if something stops the module, else 0.
    """
    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            print(f"{MARKS[finding.state]} {finding.subject}: {finding.found}", flush=True)
            if finding.remedy and finding.state is not State.OK:
                print(f"         what to do: {finding.remedy}", flush=True)
    worst = [finding for finding in findings if finding.state is State.FAILURE]
    if as_json:
        json.dump([{**vars(finding), "state": finding.state.value} for finding in findings], sys.stdout, indent=1)
        print()
    elif worst:
        print(f"\n{len(worst)} of {len(findings)} checks failed: fix the first one first; others may follow from it")
    else:
        print(f"\nnothing stops the module ({len(findings)} checks)")
    return int(bool(worst))

"""How the parent becomes small.

Once the workers are forked, what the parent has imported for them is a burden: it only waits. So it begins anew (exec)
as the same command, with a note of what it was doing. The process stays, with its id, its children, its open
descriptors and the signals that have come meanwhile, which are blocked until it waits for them again.
"""

import os
import pickle
import sys
from typing import Never

from authservice.serving import NOTE
from authservice.serving.supervisor import Supervisor


def hand_over(supervisor: Supervisor) -> Never:
    """Go on as a successor that has imported nothing but what it needs to wait."""
    note = os.memfd_create("supervisor")  # In memory: the settings are in it.
    os.write(note, pickle.dumps(supervisor))
    os.lseek(note, 0, os.SEEK_SET)
    for descriptor in (note, *supervisor.descriptors):
        os.set_inheritable(descriptor, True)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execve(sys.executable, sys.orig_argv, {**os.environ, NOTE: str(note)})  # noqa: S606 - no shell is wanted


def take_over() -> int:
    """Wait as the one before did, until the end. Returns the exit code."""
    with open(int(os.environ.pop(NOTE)), "rb") as note:
        supervisor: Supervisor = pickle.load(note)  # noqa: S301 - we wrote it
    return supervisor.watch()

"""Programs that fork, and what they have to say."""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
SECONDS = 60.0
"""That a program may take. A child that does not end is ended with it."""


def in_program(work: Callable[..., Any], *arguments: object) -> Any:
    """Return what a function of a module returns in a process of its own, in which nothing used grpc before."""
    call = (
        f"import json; from {work.__module__} import {work.__name__} as work; print(json.dumps(work(*{arguments!r})))"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", call], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        said, _ = program.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, 9)
        program.wait()
        raise
    assert program.returncode == 0
    return json.loads(said)


def in_children(work: Callable[[], str], count: int = 1) -> list[str]:
    """Return what `work` returns in each of some children that are forked one after the other and run side by side."""
    begun = [_begin(work) for _ in range(count)]
    said = []
    for pid, output in begun:
        with os.fdopen(output, encoding="utf-8") as text:
            said.append(text.read())
        os.waitpid(pid, 0)
    return said


def raised(work: Callable[[], object]) -> str:
    """Return what is raised, or what is returned."""
    try:
        return str(work())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _begin(work: Callable[[], str]) -> tuple[int, int]:
    output, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(output)
        _run(work, end)
    os.close(end)
    return pid, output


def _run(work: Callable[[], str], end: int) -> NoReturn:
    """Do the work of a child. It leaves without the cleaning up that is its parent's."""
    try:
        said = work()
    except BaseException:
        said = traceback.format_exc()
    os.write(end, said.encode())
    os._exit(0)

"""Staged errors: what is done to a sound page, and what the runner must say. ``*`` stands for any text."""

import copy

import nbformat
from tiny_pages import PARAMETERS

from ml4ops_helpers import RECORD_MIME

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ALT = "A line that rises from zero to one."
CONTRACT = {
    "parameters": {"profile": {"choices": ["smoke", "lecture"]}, "seed": {"min": 0, "max": 4294967295}},
    "metrics": {
        "water IoU": {"min": 0.5, "max": 1, "smoke": {"min": 0.1}},
        "verdict": {"choices": ["pass"]},
        "IoU in Spain": {"min": 0.4, "optional": True},  # where the real data are
    },
    "figures": 1,
    "files": {"targets.json": {"type": "object", "properties": {"recall": {"type": "number"}}, "required": ["recall"]}},
    "seconds": {"lecture": 60},
    "memory_mb": 2000,
}
CELLS = ("lesson.figure(line, alt)", 'lesson.metric("water IoU", iou)', "lesson.finish()")
"""Cells 3, 4 and 5 of the sound page; 1 is its title, 2 has its parameters."""


def contract(**changes):
    return {"contract": CONTRACT | changes}


def cells(*code):
    return {"cells": code}


def parameters(*sources):
    return {"parameters": sources}


# Found in the source, before anything runs: (name, what the page has instead, parameters given, message).
IN_THE_SOURCE = [
    ("unknown parameter", {}, {"profil": "lecture"}, ": *'profil'*profile, seed"),
    ("missing parameter", parameters("profile: str = 'smoke'") | {"contract": {}}, {"seed": 1}, ": *'seed'*profile"),
    ("text for a number", {}, {"seed": "0"}, ": *seed is int, got '0'"),
    ("fraction for a whole number", {}, {"seed": 0.5}, ": *seed is int, got 0.5"),
    ("truth value for a number", {}, {"seed": True}, ": *seed is int, got True"),
    ("below the declared range", {}, {"seed": -1}, ": *seed is -1*0 to 4294967295"),
    ("above the declared range", {}, {"seed": 2**32}, ": *seed is 4294967296*0 to 4294967295"),
    ("none of the declared choices", {}, {"profile": "tiny"}, ": *profile is 'tiny'*'smoke' or 'lecture'"),
    ("default out of range", parameters(PARAMETERS.replace("= 0", "= -7")), {}, ", cell 2: *seed is -7*"),
    ("range of no parameter", contract(parameters={"sead": {"min": 0}}), {}, ": *contract*parameter sead"),
    ("no parameters cell", parameters(), {}, ": no cell*'parameters'*"),
    ("two parameters cells", parameters(PARAMETERS, PARAMETERS), {}, ": cells 2, 3*'parameters'*"),
    ("parameters in prose", parameters("# prose"), {}, ", cell 2: *'parameters'*code cell"),
    ("parameter that is computed", parameters("seed = 1 + 1"), {}, ", cell 2, line 1: *plain value*"),
    ("default of another type", parameters('seed: int = "0"'), {}, ", cell 2: *seed*int*'0'*"),
    ("default without end", parameters(PARAMETERS + "\nrate: float = 1e999"), {}, ", cell 2: *rate*float*inf*"),
    ("unreadable value", parameters(PARAMETERS + "\nx = {[]: 1}"), {}, ", cell 2, line 3: *plain value*"),
    *((f"parameter set again by {code!r}", cells("x = 1", code), {}, f", cell 4: *parameter {name}*cell 2*")
      for name, code in (("seed", "seed, x = 99, 1"), ("seed", "if True:\n    seed += 5"),
                         ("profile", "import os as profile"),
                         ("profile", "for profile in ('smoke',):\n    pass"),
                         ("seed", "%matplotlib inline\n(seed := 7)"), ("seed", "def f():\n    global seed"))),
    *((f"failure hidden by {code!r}", cells("x = 1", "# Then", code), {}, f", cell 5: *`{line}` hides failures*")
      for code, line in (("import os\nos.system('exit 3')", "os.system('exit 3')"), ("%sx exit 3",) * 2,
                         ("!false",) * 2,
                         ("%%capture\nprint('trouble')", "%%capture"), ("%%sx\nexit 3", "%%sx"),
                         ("d['k'] = !exit 3",) * 2, ("x = %sx exit 3",) * 2, ("get_ipython().system('false')",) * 2,
                         ("%%bash --bg\nexit 4", "%%bash --bg"), ("if seed: exit()",) * 2, ("exit  # done",) * 2)),
    ("misspelt metadata", {"contracts": {"figures": 3}}, {}, ": *'contracts'*after, contract, *"),
    ("no kernelspec", {"kernel": None}, {}, ": kernelspec is missing*python3"),
    ("kernel of one machine", {"kernel": {"name": "my-env", "display_name": "mine"}}, {}, ": kernelspec is my-env*"),
    ("unknown clause", contract(figure=1), {}, ": *contract*figure*"),
    ("limit in words", contract(metrics={"water IoU": {"min": "half"}}), {}, ": *water IoU.min*'half'*"),
    ("empty range", contract(metrics={"water IoU": {"min": 0.9, "smoke": {"max": 0.5}}}), {}, ": *0.9 to 0.5*smoke"),
    ("wrong schema", contract(files={"targets.json": {"type": "objekt"}}), {}, ": *targets.json*schema*"),
    ("after a page that is missing", {"after": ["09_z"]}, {}, ": *'09_z'*"),
    ("after itself", {"after": ["01_a"]}, {}, "*01_a → 01_a"),
]  # fmt: skip


def executed(notebook, parameters):
    """The sound page as papermill leaves it, without a kernel."""
    done = copy.deepcopy(notebook)
    figure = nbformat.v4.new_output("display_data", data={"image/png": PIXEL}, metadata={"image/png": {"alt": ALT}})
    record = {"page": "01_a", "seconds": 3.2, "metrics": {"water IoU": 0.75, "verdict": "pass"}} | parameters
    last = nbformat.v4.new_output("display_data", data={"text/plain": "01_a: 3.2 s", RECORD_MIME: record})
    printed = nbformat.v4.new_output("stream", name="stdout", text="water IoU: 0.75\n")
    for cell, outputs in zip(done.cells[1:], ([], [figure], [printed], [last]), strict=True):
        cell.outputs, cell.execution_count = outputs, 1
    return done


def metrics(**changes):
    return lambda done: recorded(done)["metrics"].update({k.replace("_", " "): v for k, v in changes.items()})


def recorded(done):
    return done.cells[4].outputs[0].data[RECORD_MIME]


def clear(cell):
    return lambda done: done.cells[cell - 1].outputs.clear()


def prints(cell, text, stream="stderr"):
    return lambda done: done.cells[cell - 1].outputs.append(nbformat.v4.new_output("stream", name=stream, text=text))


def shows(cell, **data):
    return lambda done: done.cells[cell - 1].outputs.append(nbformat.v4.new_output("display_data", data=data))


TRACE = (
    "Traceback (most recent call last):\n  File 'a.py', line 1, in f\n    1 / 0\nZeroDivisionError: division by zero\n"
)
UNSEEN = "an exception that did not stop the page: ZeroDivisionError: division by zero"
BAR = "  0%|    | 0/2 [00:00<?, ?it/s]"

# Found in what a run left: (name, edit of the executed page, message). Nothing has to run for them.
IN_THE_RUN = [
    ("metric not recorded", lambda done: recorded(done)["metrics"].pop("water IoU"), ", cell 4: *'water IoU'*0.5 to 1"),
    ("metric out of range", metrics(water_IoU=0.31), ", cell 4: *'water IoU'*0.31*0.5 to 1"),
    ("truth value for a metric", metrics(water_IoU=True), ", cell 4: *'water IoU'*True*"),
    ("undefined metric", metrics(water_IoU=None), ", cell 4: *'water IoU'*undefined*"),
    ("text for a metric", metrics(water_IoU="high"), ", cell 4: *'water IoU'*'high'*"),
    ("none of the choices", metrics(verdict="fail"), ": *'verdict'*'fail'*'pass'"),
    ("optional metric, but wrong", metrics(IoU_in_Spain=0.3), ": *'IoU in Spain'*0.3*0.4"),
    ("no figure", clear(3), ": contract, figures: *0*1"),
    ("end not reached", clear(5), ", cell 5: contract, record: *lesson.finish()*"),
    ("page that did nothing", lambda done: recorded(done).update(seconds=0.0), ", cell 5: contract, record: *0 s*"),
    ("record with a gap", lambda done: recorded(done).pop("seconds"), ", cell 5: contract, record: *seconds*"),
    ("seed ignored", lambda done: recorded(done).update(seed=7), ": contract, parameter seed: *7*0"),
    ("profile ignored", lambda done: recorded(done).update(profile="smoke"), ": *profile: *'smoke'*'lecture'"),
    ("cell not run", lambda done: done.cells[3].update(execution_count=None), ", cell 4: was not run"),
    ("no alt text", lambda done: done.cells[2].outputs[0].update(metadata={}), ", cell 3 *without alt text*"),
    ("two figures in a cell", lambda done: done.cells[2].update(outputs=done.cells[2].outputs * 2),
     ", cell 3 *2 figures*"),
    ("traceback of a thread", prints(4, f"Exception in thread Thread-5 (train):\n{TRACE}"), f", cell 4: {UNSEEN}"),
    ("traceback printed", prints(3, TRACE, "stdout"), f", cell 3: {UNSEEN}"),
    ("traceback displayed", shows(3, **{"text/html": f"<pre>{TRACE}</pre>"}), f", cell 3: {UNSEEN}"),
    ("unknown line on standard error", prints(4, f"\r{BAR}\nclipped 3 pixels\n"), ", cell 4: *: clipped 3 pixels*"),
    ("warning on the line of a bar", prints(4, f"{BAR}a.py:3: UserWarning: no water\n"), ", cell 4: *UserWarning: *"),
]  # fmt: skip

# Found in what a run left elsewhere: (name, what the cache holds, seconds, megabytes, message).
GOOD = '{"recall": 0.85}'
AROUND_THE_RUN = [
    ("no file", None, 3, 900, ": *'targets.json': found none*"),
    ("file of an earlier run", "old", 3, 900, ": *'targets.json': *older*"),
    ("file without content", "", 3, 900, ": *'targets.json': *JSON*"),
    ("file with a name missing", "{}", 3, 900, ": *'targets.json': *'recall' is a required property*"),
    ("file with a wrong type", '{"recall": "high"}', 3, 900, ": *'targets.json': *['recall']*'number'*"),
    ("file with an undefined number", '{"recall": NaN}', 3, 900, ": *'targets.json': *NaN*"),
    ("too slow", GOOD, 61, 900, ": contract, seconds at profile lecture: *61*60"),
    ("too large", GOOD, 3, 2001, ": contract, memory_mb: *2001*2000"),
]

# Real kernels: (name, code of cells 3 and following, message). Each is a notebook of its own.
IN_A_KERNEL = [
    ("exception", ("a = 0\nb = 1 / a",), ", cell 3, line 2 `b = 1 / a`: ZeroDivisionError: division by zero"),
    ("tagged_exception", (("1 / 0", "raises-exception"), "x = 1"), ", cell 3, line 1 `1 / 0`: ZeroDivisionError: *"),
    ("thread", ("x = 1", "from threading import Thread\n\nt = Thread(target=lambda: 1 / 0)\nt.start()\nt.join()"),
     f", cell 4: {UNSEEN}"),
    ("late_thread", ("from threading import Timer\n\nTimer(0.3, lambda: 1 / 0).start()",
                     "import time\n\ntime.sleep(0.8)"), f", cell 4: {UNSEEN}"),
    ("callback", ("def fail(*_):\n    raise KeyError('band')", "get_ipython().events.register('post_run_cell', fail)"),
     ", cell 4*: KeyError: 'band'"),
    ("task", ("import asyncio, gc\n\nasync def fail():\n    raise ValueError('late')\n\nasyncio.create_task(fail())\n"
              "await asyncio.sleep(0.1)", "gc.collect()\nawait asyncio.sleep(0.1)"),
     ", cell *: an exception that did not stop the page: ValueError: late"),
    ("logged", ("import logging\n\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    logging.exception('went on')",),
     f", cell 3: {UNSEEN}"),
    ("finaliser", ("class Scene:\n    def __del__(self):\n        raise OSError('open')", "scene = Scene()\ndel scene"),
     ", cell 4: an exception that did not stop the page: OSError: open"),
    ("warning", ("import warnings\n\nwarnings.warn('no water')",), ", cell 3: *UserWarning: no water*"),
    ("child", ("import subprocess\n\nsubprocess.run(['sh', '-c', 'echo trouble >&2'])",),
     ", cell 3: *standard error: trouble*"),
    ("sys_exit", ("import sys\n\nsys.exit()", "x = 1"), ", cell 3*: SystemExit: "),
    ("magic", ("%no_such_magic", "x = 1"), ", cell 3: UsageError: Line magic function `%no_such_magic` not found."),
    ("cell_magic", ("%%no_such_magic\nx = 1",), ", cell 3: UsageError: Cell magic `%%no_such_magic` not found*"),
    ("question", ("input('which scene?')",), ", cell 3*: StdinNotImplementedError: *"),
    ("killed", ("x = 1", "import os, signal\n\nos.kill(os.getpid(), signal.SIGKILL)", "x = 2"),
     ", cell 4: *Kernel died"),
]  # fmt: skip

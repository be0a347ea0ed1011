"""Staged faults: what is done to a sound page, and how the runner must put it. ``*`` stands for any text."""

import copy

import nbformat
from tiny_pages import PARAMETERS

RECORD_MIME = "application/vnd.ml4ops.lesson+json"
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


# Found in the source, before anything runs: (name, what the page has instead, parameters given, message).
IN_THE_SOURCE = [
    ("unknown parameter", {}, {"profil": "lecture"}, "01_a.ipynb: no parameter 'profil'; it has profile, seed"),
    ("missing parameter", {"parameters": ("profile: str = 'smoke'",), "contract": {}}, {"seed": 1},
     "01_a.ipynb: no parameter 'seed'; it has profile"),
    ("text for a number", {}, {"seed": "0"}, "01_a.ipynb: parameter seed is int, got '0'"),
    ("fraction for a whole number", {}, {"seed": 0.5}, "01_a.ipynb: parameter seed is int, got 0.5"),
    ("truth value for a number", {}, {"seed": True}, "01_a.ipynb: parameter seed is int, got True"),
    ("below the declared range", {}, {"seed": -1}, "01_a.ipynb: parameter seed is -1; the page takes 0 to 4294967295"),
    ("above the declared range", {}, {"seed": 2**32},
     "01_a.ipynb: parameter seed is 4294967296; the page takes 0 to 4294967295"),
    ("none of the declared choices", {}, {"profile": "tiny"},
     "01_a.ipynb: parameter profile is 'tiny'; the page takes 'smoke' or 'lecture'"),
    ("default out of the declared range", {"parameters": (PARAMETERS.replace("= 0", "= -7"),)}, {},
     "01_a.ipynb, cell 2: parameter seed is -7; the page takes 0 to 4294967295"),
    ("declared range of no parameter", contract(parameters={"sead": {"min": 0}}), {},
     "01_a.ipynb: metadata ml4ops.contract: the page has no parameter sead"),
    ("no parameters cell", {"parameters": ()}, {}, "01_a.ipynb: no cell is tagged 'parameters'; tag exactly one"),
    ("two parameters cells", {"parameters": (PARAMETERS, PARAMETERS)}, {},
     "01_a.ipynb: cells 2, 3 are tagged 'parameters'; tag exactly one"),
    ("parameters in prose", {"parameters": ("# prose",)}, {},
     "01_a.ipynb, cell 2: tagged 'parameters' but not a code cell"),
    ("parameter that is worked out", {"parameters": ("seed = 1 + 1",)}, {},
     "01_a.ipynb, cell 2, line 1: not a plain value; write name: type = value"),
    ("default of another type", {"parameters": ('seed: int = "0"',)}, {},
     "01_a.ipynb, cell 2: parameter seed is declared int, its default '0' is not"),
    ("parameter set again further down", {"cells": ("x = 1", "seed = 3")}, {},
     "01_a.ipynb, cell 4: sets parameter seed again; only cell 2 may"),
    *((f"parameter set again by {code!r}", {"cells": (code,)}, {},
       f"01_a.ipynb, cell 3: sets parameter {name} again; only cell 2 may")
      for name, code in (("seed", "seed, x = 99, 1"), ("seed", "seed += 1"), ("seed", "if True:\n    seed = 5"),
                         ("profile", "for profile in ('smoke',):\n    pass"), ("profile", "import os as profile"),
                         ("seed", "%matplotlib inline\n(seed := 7)"), ("seed", "def f():\n    global seed"))),
    ("misspelt word in the metadata", {"contracts": {"figures": 3}}, {},
     "01_a.ipynb: metadata ml4ops: unknown key 'contracts'; write some of after, contract, *"),
    ("default that has no end", {"parameters": (PARAMETERS + "\nrate: float = 1e999",)}, {},
     "01_a.ipynb, cell 2: parameter rate is declared float, its default inf is not"),
    ("value that can't be read", {"parameters": (PARAMETERS + "\nx = {[]: 1}",)}, {},
     "01_a.ipynb, cell 2, line 3: not a plain value; write name: type = value"),
    ("no kernelspec", {"kernel": None}, {},
     "01_a.ipynb: kernelspec is missing; save the notebook with kernelspec python3"),
    ("kernel of one machine", {"kernel": {"name": "my-env", "display_name": "mine"}}, {},
     "01_a.ipynb: kernelspec is my-env; save the notebook with kernelspec python3"),
    ("outputs that are captured", {"cells": ("%%capture\nprint('trouble')",)}, {},
     "01_a.ipynb, cell 3: `%%capture` hides failures; write Python that raises"),
    ("command whose exit code is lost", {"cells": ("x = 1", "# Then", "!false")}, {},
     "01_a.ipynb, cell 5: `!false` hides failures; write Python that raises"),
    ("exit in the middle", {"cells": ("if seed:\n    exit()", "x = 1")}, {},
     "01_a.ipynb, cell 3: `exit()` hides failures; write Python that raises"),
    *((f"exit code that is lost by {code!r}", {"cells": (code,)}, {},
       f"01_a.ipynb, cell 3: `{line}` hides failures; write Python that raises")
      for code, line in (("import os\nos.system('exit 3')", "os.system('exit 3')"), ("%sx exit 3",) * 2,
                         ("%system exit 3",) * 2, ("%%sx\nexit 3", "%%sx"), ("d['k'] = !exit 3",) * 2,
                         ("x = %sx exit 3",) * 2, ("get_ipython().system('false')",) * 2,
                         ("%%bash --bg\nexit 4", "%%bash --bg"), ("if seed: exit()",) * 2,
                         ("exit  # we are done",) * 2)),
    ("contract with an unknown clause", contract(figure=1), {},
     "01_a.ipynb: metadata ml4ops.contract: unknown key 'figure'; write some of *figures*"),
    ("contract that asks for a number in words", contract(metrics={"water IoU": {"min": "half"}}), {},
     "01_a.ipynb: metadata ml4ops.contract.metrics.water IoU.min: input should be a valid number, found 'half'"),
    ("contract that nothing can keep", contract(metrics={"water IoU": {"min": 0.9, "smoke": {"max": 0.5}}}), {},
     "01_a.ipynb: metadata ml4ops.contract.metrics.water IoU: no value lies within 0.9 to 0.5 at profile smoke"),
    ("contract with a schema that is none", contract(files={"targets.json": {"type": "objekt"}}), {},
     "01_a.ipynb: metadata ml4ops.contract.files.targets.json: not a JSON schema: *"),
    ("page that waits for none that exists", {"after": ["09_z"]}, {},
     "01_a.ipynb: is to run after '09_z', which is not a page"),
    ("page that waits for itself", {"after": ["01_a"]}, {}, "pages wait for each other: 01_a → 01_a"),
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
    """Change what was recorded; None takes it away."""

    def edit(done):
        recorded = done.cells[4].outputs[0].data[RECORD_MIME]["metrics"]
        recorded.update({name.replace("_", " "): value for name, value in changes.items()})

    return edit


def record(**changes):
    return lambda done: done.cells[4].outputs[0].data[RECORD_MIME].update(changes)


def without(cell):
    def edit(done):
        done.cells[cell - 1].outputs = []

    return edit


def say(cell, text, stream="stderr"):
    """Let a cell print."""
    return lambda done: done.cells[cell - 1].outputs.append(nbformat.v4.new_output("stream", name=stream, text=text))


def show(cell, **data):
    return lambda done: done.cells[cell - 1].outputs.append(nbformat.v4.new_output("display_data", data=data))


def drop_metric(done):
    del done.cells[4].outputs[0].data[RECORD_MIME]["metrics"]["water IoU"]


def not_run(done):
    done.cells[3].execution_count = None


def two_figures(done):
    done.cells[2].outputs *= 2


def no_alt_text(done):
    done.cells[2].outputs[0].metadata = {}


TRACE = (
    "Traceback (most recent call last):\n  File 'a.py', line 1, in f\n    1 / 0\nZeroDivisionError: division by zero\n"
)

# Found in what a run left: (name, edit of the executed page, message). Nothing has to run for them.
IN_THE_RUN = [
    ("metric that is not recorded", drop_metric,
     "01_a.ipynb, cell 4: contract, metric 'water IoU': found none, wanted 0.5 to 1"),
    ("metric out of its range", metrics(water_IoU=0.31),
     "01_a.ipynb, cell 4: contract, metric 'water IoU': found 0.31, wanted 0.5 to 1"),
    ("truth value for a metric that is a number", metrics(water_IoU=True),
     "01_a.ipynb, cell 4: contract, metric 'water IoU': found True, wanted 0.5 to 1"),
    ("metric that is undefined", metrics(water_IoU=None),
     "01_a.ipynb, cell 4: contract, metric 'water IoU': found an undefined value, wanted 0.5 to 1"),
    ("text for a metric that is a number", metrics(water_IoU="high"),
     "01_a.ipynb, cell 4: contract, metric 'water IoU': found 'high', wanted 0.5 to 1"),
    ("metric that is none of the choices", metrics(verdict="fail"),
     "01_a.ipynb: contract, metric 'verdict': found 'fail', wanted 'pass'"),
    ("metric that may be missing, but not be wrong", metrics(IoU_in_Spain=0.3),
     "01_a.ipynb: contract, metric 'IoU in Spain': found 0.3, wanted at least 0.4"),
    ("no figure", without(3), "01_a.ipynb: contract, figures: found 0, wanted at least 1"),
    ("end not reached", without(5),
     "01_a.ipynb, cell 5: contract, record: found none, wanted the one that lesson.finish() leaves at the end of the "
     "page"),
    ("page that did nothing", record(seconds=0.0),
     "01_a.ipynb, cell 5: contract, record: found a page that took 0 s, wanted one that starts before its work and "
     "finishes after"),
    ("record without what belongs into it", lambda done: done.cells[4].outputs[0].data[RECORD_MIME].pop("seconds"),
     "01_a.ipynb, cell 5: contract, record: found one without seconds, wanted the one that lesson.finish() leaves"),
    ("page that ignores its seed", record(seed=7),
     "01_a.ipynb: contract, parameter seed: found a page run with 7, wanted 0"),
    ("page that ignores its profile", record(profile="smoke"),
     "01_a.ipynb: contract, parameter profile: found a page run with 'smoke', wanted 'lecture'"),
    ("cell that was not run", not_run, "01_a.ipynb, cell 4: was not run"),
    ("figure without alt text", no_alt_text,
     "01_a.ipynb, cell 3 shows a figure without alt text; show it with lesson.figure(fig, alt=…)"),
    ("two figures in a cell", two_figures,
     "01_a.ipynb, cell 3 shows 2 figures; one alt text serves a cell: use a cell for each"),
    ("traceback of a thread", say(4, f"Exception in thread Thread-5 (train):\n{TRACE}"),
     "01_a.ipynb, cell 4: an exception that did not stop the page: ZeroDivisionError: division by zero"),
    ("traceback that is printed", say(3, TRACE, "stdout"),
     "01_a.ipynb, cell 3: an exception that did not stop the page: ZeroDivisionError: division by zero"),
    ("traceback that is displayed", show(3, **{"text/html": f"<pre>{TRACE}</pre>"}),
     "01_a.ipynb, cell 3: an exception that did not stop the page: ZeroDivisionError: division by zero"),
    ("unknown line on standard error", say(4, "\r 50%|##  | 1/2 [00:01<00:01]\nclipped 3 pixels\n"),
     "01_a.ipynb, cell 4: unexpected on standard error: clipped 3 pixels; if harmless, list it in press/faults.py"),
    ("warning on the line of a progress bar", say(4, "  0%|    | 0/2 [00:00<?, ?it/s]a.py:3: UserWarning: no water\n"),
     "01_a.ipynb, cell 4: unexpected on standard error:   0%|    | 0/2 [00:00<?, ?it/s]a.py:3: UserWarning: no water; "
     "if harmless, list it in press/faults.py"),
]  # fmt: skip

# Found in what a run left elsewhere: (name, what the cache holds, seconds, megabytes, message).
GOOD = '{"recall": 0.85}'
AROUND_THE_RUN = [
    ("no file", None, 3, 900, "01_a.ipynb: contract, file 'targets.json': found none in the cache, wanted one"),
    ("file of an earlier run", "old", 3, 900,
     "01_a.ipynb: contract, file 'targets.json': found one that is older than the run, wanted a new one"),
    ("file without content", "", 3, 900, "01_a.ipynb: contract, file 'targets.json': found no JSON (*), wanted some"),
    ("file with a name missing", "{}", 3, 900,
     "01_a.ipynb: contract, file 'targets.json': found content that does not fit ('recall' is a required property), "
     "wanted content of its schema"),
    ("file with a wrong type", '{"recall": "high"}', 3, 900,
     "01_a.ipynb: contract, file 'targets.json': found content['recall'] that does not fit ('high' is not of type "
     "'number'), wanted content of its schema"),
    ("file with an undefined number", '{"recall": NaN}', 3, 900,
     "01_a.ipynb: contract, file 'targets.json': found no JSON (NaN is not a JSON number), wanted some"),
    ("too slow", GOOD, 61, 900, "01_a.ipynb: contract, seconds at profile lecture: found 61, wanted at most 60"),
    ("too large", GOOD, 3, 2001, "01_a.ipynb: contract, memory_mb: found 2001, wanted at most 2000"),
]  # fmt: skip

# Real kernels: (name, code of cells 3 and following, message). Each is a notebook of its own.
IN_A_KERNEL = [
    ("exception", ("a = 0\nb = 1 / a",), "cell 3, line 2 `b = 1 / a`: ZeroDivisionError: division by zero"),
    ("tagged_exception", (("1 / 0", "raises-exception"), "x = 1"),
     "cell 3, line 1 `1 / 0`: ZeroDivisionError: division by zero"),
    ("thread", ("x = 1", "from threading import Thread\n\nt = Thread(target=lambda: 1 / 0)\nt.start()\nt.join()"),
     "cell 4: an exception that did not stop the page: ZeroDivisionError: division by zero"),
    ("late_thread", ("from threading import Timer\n\nTimer(0.3, lambda: 1 / 0).start()",
                     "import time\n\ntime.sleep(0.8)"),
     "cell 4: an exception that did not stop the page: ZeroDivisionError: division by zero"),
    ("callback", ("def fail(*_):\n    raise KeyError('band')", "get_ipython().events.register('post_run_cell', fail)"),
     "cell 4*: KeyError: 'band'"),
    ("task", ("import asyncio, gc\n\nasync def fail():\n    raise ValueError('late')\n\nasyncio.create_task(fail())\n"
              "await asyncio.sleep(0.1)", "gc.collect()\nawait asyncio.sleep(0.1)"),
     "cell *: an exception that did not stop the page: ValueError: late"),
    ("logged", ("import logging\n\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    logging.exception('went on')",),
     "cell 3: an exception that did not stop the page: ZeroDivisionError: division by zero"),
    ("finaliser", ("class Scene:\n    def __del__(self):\n        raise OSError('open')", "scene = Scene()\ndel scene"),
     "cell 4: an exception that did not stop the page: OSError: open"),
    ("warning", ("import warnings\n\nwarnings.warn('no water')",),
     "cell 3: unexpected on standard error: *UserWarning: no water; if harmless, list it in press/faults.py"),
    ("child", ("import subprocess\n\nsubprocess.run(['sh', '-c', 'echo trouble >&2'])",),
     "cell 3: unexpected on standard error: trouble; if harmless, list it in press/faults.py"),
    ("sys_exit", ("import sys\n\nsys.exit()", "x = 1"), "cell 3*: SystemExit: "),
    ("question", ("input('which scene?')",), "cell 3*: StdinNotImplementedError: *"),
    ("nobody_asks", ("from concurrent.futures import ThreadPoolExecutor\n\nwith ThreadPoolExecutor() as pool:\n"
                     "    pool.submit(lambda: 1 / 0)", "x = 1"),
     "cell 4: an exception that did not stop the page: ZeroDivisionError: division by zero"),
    ("pool_goes_on", ("import time\nfrom concurrent.futures import ThreadPoolExecutor\n\n\ndef fail():\n"
                      "    time.sleep(0.5)\n    1 / 0\n\n\npool = ThreadPoolExecutor()\njob = pool.submit(fail)",),
     "cell 3: an exception that did not stop the page: ZeroDivisionError: division by zero"),
    ("last_thread", ("from threading import Timer\n\nTimer(0.3, lambda: 1 / 0).start()",),
     "cell 3: an exception that did not stop the page: ZeroDivisionError: division by zero"),
    ("kept_task", ("import asyncio\n\n\nasync def fail():\n    raise ValueError('late')\n\n\n"
                   "task = asyncio.create_task(fail())",),
     "cell 3: an exception that did not stop the page: ValueError: late"),
    ("aborted", ("import multiprocessing as mp\nimport os\n\nchild = mp.get_context('fork').Process(target=os.abort)\n"
                 "child.start()\nchild.join()",),
     "cell 3: unexpected on standard error: *Process-1 ended with exit code -6; if harmless, list it in press/faults.py"
     ),
    ("killed", ("x = 1", "import os, signal\n\nos.kill(os.getpid(), signal.SIGKILL)", "x = 2"),
     "cell 4: nbclient.exceptions.DeadKernelError: Kernel died"),
    ("endless", ("while True:\n    pass",), "cell 3*timed out*"),
]  # fmt: skip

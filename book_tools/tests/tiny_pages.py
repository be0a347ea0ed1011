"""Tiny notebooks, and runs of them that need no kernel."""

from dataclasses import dataclass, field

import nbformat

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
PARAMETERS = 'profile: str = "lecture"\nseed: int = 0'


def write_page(folder, name, *cells, parameters=(PARAMETERS,), kernel=KERNEL, **metadata):
    """Write a notebook: prose where a cell begins with '#', else code; ``(source, tag)`` for a tagged cell."""
    book = nbformat.v4.new_notebook(metadata={"ml4ops": metadata} | ({"kernelspec": kernel} if kernel else {}))
    for cell in [f"# {name}", *((p, "parameters") for p in parameters), *cells]:
        source, *tags = (cell,) if isinstance(cell, str) else cell
        new = nbformat.v4.new_markdown_cell if source.startswith("#") else nbformat.v4.new_code_cell
        book.cells.append(new(source, id=f"cell-{len(book.cells)}", metadata={"tags": tags} if tags else {}))
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


@dataclass
class Kernels:
    """Stands in for papermill: pretends to run pages and remembers in which order, how many at a time."""

    polls: dict = field(default_factory=dict)
    broken: set = field(default_factory=set)
    started: list = field(default_factory=list)
    threads: dict = field(default_factory=dict)
    log: list = field(default_factory=list)
    running: set = field(default_factory=set)
    stopped: set = field(default_factory=set)
    most: int = 0
    leave: object = None  # function from the page and its parameters to the executed page
    seconds: float = 1.0
    times: dict = field(default_factory=dict)  # of pages that take other times than that
    effective_seconds: float | None = None  # default: seconds
    peak_mb: float = 100.0

    def start(self, page, parameters, threads, cell_timeout, **options):
        return PretendedRun(self, page, parameters, threads)


class PretendedRun:
    def __init__(self, kernels, page, parameters, threads):
        self.kernels, self.page, self.parameters = kernels, page, parameters
        self.peak_mb, self.effective_seconds = kernels.peak_mb, kernels.effective_seconds or kernels.seconds
        self.left = kernels.polls.get(page.name, 2)
        kernels.started.append(page.name)
        kernels.log.append(f"start {page.name}")
        kernels.threads[page.name] = threads
        kernels.running.add(page.name)
        kernels.most = max(kernels.most, len(kernels.running))

    def done(self):
        self.left -= 1
        return self.left <= 0

    def seconds(self):
        return self.kernels.times.get(self.page.name, self.kernels.seconds)

    def stop(self):
        self.kernels.stopped.add(self.page.name)

    def result(self):
        self.kernels.running.discard(self.page.name)
        self.kernels.log.append(f"end {self.page.name}")
        if self.kernels.leave:
            return self.kernels.leave(self.page.notebook, self.parameters), ""
        executed = nbformat.from_dict(self.page.notebook)
        count = 0
        for cell in executed.cells:
            if cell.cell_type == "code":
                count += 1
                cell.execution_count = count
                text = f"run {len(self.kernels.started)}\n"
                cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
        if self.page.name in self.kernels.broken:
            error = nbformat.v4.new_output("error", ename="ValueError", evalue="no water", traceback=[])
            executed.cells[-1].outputs = [error]
        return executed, ""

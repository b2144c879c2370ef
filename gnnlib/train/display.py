"""What a person sees while models train: a live display in a terminal, a few lines elsewhere."""

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TextIO

from .trainer import Epoch, TrainResult

if TYPE_CHECKING:
    from rich.console import RenderableType

BLOCKS = "▁▂▃▄▅▆▇█"
SECONDS_BETWEEN_LINES = 30


class Display:
    """Follows the runs of several seeds and shows nothing: the base of the displays that do.

    A context manager; call `begin(seed)`, `epoch(…)` as each epoch ends, and `end(result)`.
    """

    def __init__(self, seeds: Sequence[int], epochs: int):
        self.seeds = seeds
        self.epochs = epochs
        self.seed = seeds[0]
        self.history: list[Epoch] = []
        self.seeds_done = 0
        self._epochs_done = 0
        self._started = time.monotonic()

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, seed: int) -> None:
        self.seed, self.history = seed, []

    def epoch(self, epoch: Epoch) -> None:
        self.history.append(epoch)
        self._epochs_done += 1

    def end(self, result: TrainResult) -> None:
        self.seeds_done += 1
        self.history = []

    def seconds_left(self) -> float:
        """Time to the last epoch of the last seed, if none stops early, at the pace so far."""
        pace = (time.monotonic() - self._started) / max(self._epochs_done, 1)
        return pace * (self.epochs * (len(self.seeds) - self.seeds_done) - len(self.history))


class LineDisplay(Display):
    """One line for each seed, and one now and then while a seed takes long."""

    def __init__(self, seeds: Sequence[int], epochs: int, file: TextIO):
        super().__init__(seeds, epochs)
        self.file = file
        self._last_line = self._started

    def epoch(self, epoch: Epoch) -> None:
        super().epoch(epoch)
        if time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            self._print(
                f"seed {self.seed}: epoch {epoch.epoch} of {self.epochs}, "
                f"loss {epoch.train_loss:.3f}, validation {percent(epoch.val_accuracy)}, "
                f"at most {clock(self.seconds_left())} left"
            )

    def end(self, result: TrainResult) -> None:
        super().end(result)
        self._print(seed_line(self.seed, result))

    def _print(self, line: str) -> None:
        print(line, file=self.file, flush=True)
        self._last_line = time.monotonic()


class LiveDisplay(Display):
    """Loss and accuracy as they run, in a terminal; a line stays for each finished seed."""

    def __init__(self, seeds: Sequence[int], epochs: int, file: TextIO):
        from rich.console import Console
        from rich.live import Live

        super().__init__(seeds, epochs)
        self._live = Live(
            console=Console(file=file, highlight=False),
            get_renderable=self.render,
            refresh_per_second=10,
            transient=True,
        )

    def __enter__(self) -> "Display":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def end(self, result: TrainResult) -> None:
        super().end(result)
        self._live.console.print(seed_line(self.seed, result))

    def render(self) -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        history = list(self.history)  # the live display draws from a thread of its own
        if not history:
            return ""
        last = history[-1]
        best = max(history, key=lambda epoch: (epoch.val_accuracy, -epoch.val_loss))

        head = Table.grid(padding=(0, 2))
        head.add_row(
            f"[bold]seed {self.seed}[/] [dim]({self.seeds_done + 1} of {len(self.seeds)})[/]",
            ProgressBar(total=self.epochs, completed=last.epoch, width=24),
            f"epoch {last.epoch} of {self.epochs}",
            f"[dim]at most {clock(self.seconds_left())} left[/]",
        )
        curves = Table.grid(padding=(0, 2))
        curves.add_row(
            "loss",
            f"train {last.train_loss:.3f}",
            f"[cyan]{sparkline([epoch.train_loss for epoch in history])}[/]",
            f"validation {last.val_loss:.3f}",
            f"[magenta]{sparkline([epoch.val_loss for epoch in history])}[/]",
        )
        curves.add_row(
            "accuracy",
            f"train {percent(last.train_accuracy)}",
            f"[cyan]{sparkline([epoch.train_accuracy for epoch in history])}[/]",
            f"validation {percent(last.val_accuracy)}",
            f"[magenta]{sparkline([epoch.val_accuracy for epoch in history])}[/]",
        )
        best_line = f"[dim]best so far: {percent(best.val_accuracy)} at epoch {best.epoch}[/]"
        return Group(head, curves, best_line)


def sparkline(values: Sequence[float], width: int = 16) -> str:
    """A curve in one line of text: the means of `width` equal stretches of `values`.

    Example:
        >>> sparkline([0, 1, 2, 3, 4, 5, 6, 7])
        '▁▂▃▄▅▆▇█'
    """
    width = min(width, len(values))
    edges = [len(values) * column // width for column in range(width + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((mean - low) * scale)] for mean in means)


def clock(seconds: float) -> str:
    """Minutes and seconds.

    Example:
        >>> clock(125.2)
        '2:05'
    """
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02}"


def percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def seed_line(seed: int, result: TrainResult) -> str:
    return (
        f"seed {seed}: test {percent(result.test['accuracy'])}, "
        f"validation {percent(result.val['accuracy'])}, "
        f"best epoch {result.best_epoch} of {len(result.history)}, {result.seconds:.1f} s"
    )


def headline(record: dict[str, Any]) -> str:
    """The result in one line.

    Example:
        >>> test = {"mean": 0.8217, "std": 0.0072}
        >>> headline({"model": "gcn", "dataset": "cora", "seeds": [0, 1, 2], "test": test})
        'gcn on cora: test accuracy 82.2 ± 0.7 % over 3 seeds'
    """
    line = f"{record['model']} on {record['dataset']}: test accuracy "
    if len(record["seeds"]) == 1:
        return line + percent(record["test"]["mean"])
    std = f"± {percent(record['test']['std'])} over {len(record['seeds'])} seeds"
    return f"{line}{100 * record['test']['mean']:.1f} {std}"


def print_table(record: dict[str, Any], file: TextIO) -> None:
    """The record's numbers for a person: mean ± standard deviation over the seeds."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    def spread(value: dict[str, float]) -> str:
        return f"{100 * value['mean']:.2f} ± {100 * value['std']:.2f} %"

    runs = len(record["seeds"])
    table = Table(box=SIMPLE_HEAD, show_header=False, title_justify="left", title_style="bold")
    table.title = f"{record['model']} on {record['dataset']}, {runs} seed{'s' * (runs > 1)}"
    table.add_row("validation accuracy", spread(record["val"]))
    table.add_row("[bold]test accuracy[/]", f"[bold]{spread(record['test'])}[/]")
    table.add_row("test macro F1", spread(record["metrics"]["f1_macro"]))
    table.add_row(
        "epochs", f"{record['epochs']:.0f}, {1000 * record['seconds_per_epoch']:.1f} ms each"
    )
    table.add_row("run folder", record["run_dir"])
    Console(file=file, highlight=False).print(table)

"""What a person sees while models train: live curves in a terminal, a few lines elsewhere."""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, TextIO

from . import braille
from .history import Epoch, TrainResult

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.text import Text

SECONDS_BETWEEN_LINES = 30
REPLAYED = 1e-4  # seconds: an epoch that ends so soon is one that an earlier process has trained
STYLES = ("cyan", "magenta")  # training, validation
SIDE_BY_SIDE = 84  # columns of a terminal
LEAST_WIDTH, LEAST_ROWS, MOST_ROWS = 30, 3, 10  # of a panel of curves
MOST_POINTS = 2000  # of a curve: the display must not slow down a long training


class Display:
    """Follows the runs of several seeds and shows nothing: the base of the displays that do.

    A context manager; call `begin(seed)`, `epoch(…)` as each epoch ends, and `end(result)`.
    """

    def __init__(self, seeds: Sequence[int], epochs: int):
        self.seeds = seeds
        self.epochs = epochs
        self.seed = seeds[0]
        self.history: list[Epoch] = []
        self.best: Epoch | None = None
        self.seeds_done = 0
        self._last_epoch = time.monotonic()
        self._paces: deque[float] = deque(maxlen=100)

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, seed: int) -> None:
        self.seed, self.history, self.best = seed, [], None
        self._last_epoch = time.monotonic()

    def epoch(self, epoch: Epoch) -> None:
        self.history.append(epoch)
        if self.best is None or _goodness(epoch) > _goodness(self.best):
            self.best = epoch
        now = time.monotonic()
        if now - self._last_epoch > REPLAYED:
            self._paces.append(now - self._last_epoch)
        self._last_epoch = now

    def end(self, result: TrainResult) -> None:
        self.seeds_done += 1
        self.history = []

    def seconds_left(self) -> float:
        """Time to the last epoch of the last seed, if none stops early, at the pace of late."""
        pace = median(list(self._paces)) if self._paces else 0.0
        return pace * (self.epochs * (len(self.seeds) - self.seeds_done) - len(self.history))


def _goodness(epoch: Epoch) -> tuple[float, float]:
    """NaN is worse than any number."""
    loss = math.inf if math.isnan(epoch.val_loss) else epoch.val_loss
    return epoch.val_accuracy, -loss


class LineDisplay(Display):
    """One line for each seed, and one now and then while a seed takes long."""

    def __init__(self, seeds: Sequence[int], epochs: int, file: TextIO):
        super().__init__(seeds, epochs)
        self.file = file
        self._last_line = self._last_epoch

    def epoch(self, epoch: Epoch) -> None:
        super().epoch(epoch)
        if time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            self._print(
                f"seed {self.seed}: epoch {epoch.epoch} of {self.epochs}, "
                f"loss {epoch.train_loss:.3f}, validation {percent(epoch.val_accuracy)}, "
                f"{''.join(f'{part}, ' for part in convergence(epoch))}"
                f"at most {clock(self.seconds_left())} left"
            )

    def end(self, result: TrainResult) -> None:
        super().end(result)
        self._print(seed_line(self.seed, result))

    def _print(self, line: str) -> None:
        print(line, file=self.file, flush=True)
        self._last_line = time.monotonic()


class LiveDisplay(Display):
    """Curves of loss and accuracy as they run, in a terminal; a line stays for each seed.

    What does not fit the terminal is left out: with few columns the curves stand one above the
    other, with very few rows or columns there are numbers only.
    """

    def __init__(self, seeds: Sequence[int], epochs: int, console: "Console"):
        from rich.live import Live

        super().__init__(seeds, epochs)
        self.console = console
        self._live = Live(
            console=console, get_renderable=self.render, refresh_per_second=8, transient=True
        )

    def __enter__(self) -> "Display":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def end(self, result: TrainResult) -> None:
        super().end(result)
        self.console.print(seed_line(self.seed, result), highlight=False)

    def render(self) -> "RenderableType":
        """The picture of this moment."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        # The live display draws from a thread of its own, while epochs come in.
        history, best = list(self.history), self.best
        if not history or best is None:
            line = f"seed {self.seed}: the first epoch"
            return Group(Text(line, no_wrap=True, overflow="ellipsis"))
        last = history[-1]
        width, height = self.console.size
        panels: list[RenderableType] = []
        columns = 2 if width >= SIDE_BY_SIDE else 1
        solves = convergence(last) if height > 4 else []
        rows = min(MOST_ROWS, (height - 4 - bool(solves)) // (3 - columns) - 3)
        if width >= LEAST_WIDTH and rows >= LEAST_ROWS:
            grid = Table.grid(expand=True)
            for _ in range(columns):
                grid.add_column(ratio=1)
            step = len(history) // MOST_POINTS + 1
            points = history[::-step][::-1]  # with the last
            charts = [_panel(points, quantity, rows) for quantity in ("loss", "accuracy")]
            for first in range(0, 2, columns):
                grid.add_row(*charts[first : first + columns])
            panels = [grid]
        else:
            panels = [
                _legend("loss", last.train_loss, last.val_loss),
                _legend("accuracy", last.train_accuracy, last.val_accuracy),
            ]
        foot = [f"best so far: {percent(best.val_accuracy)} at epoch {best.epoch}"]
        if solves:
            foot.insert(0, f"fixed point: {', '.join(solves)}, {converged_epochs(history)}")
        lines = [Text(line, "dim", no_wrap=True, overflow="ellipsis") for line in foot]
        return Group(self._head(last, width), *panels, *lines)

    def _head(self, last: Epoch, width: int) -> "RenderableType":
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        seed = Text(f"seed {self.seed}", "bold")
        seed.append(f" ({self.seeds_done + 1} of {len(self.seeds)})", "dim not bold")
        epoch = Text(f"epoch {last.epoch} of {self.epochs}")
        left = Text(f"at most {clock(self.seconds_left())} left", "dim")
        if width < SIDE_BY_SIDE:
            line = Text("  ").join([seed, epoch, left])
            line.no_wrap, line.overflow = True, "ellipsis"
            return line
        head = Table.grid(padding=(0, 2))
        head.add_row(
            seed, ProgressBar(total=self.epochs, completed=last.epoch, width=24), epoch, left
        )
        return head


def _panel(history: Sequence[Epoch], quantity: str, rows: int) -> "RenderableType":
    """The two curves of "loss" or "accuracy" in a frame, their last values in its title."""
    from rich.panel import Panel

    train = [getattr(epoch, f"train_{quantity}") for epoch in history]
    validation = [getattr(epoch, f"val_{quantity}") for epoch in history]
    title = _legend(quantity, train[-1], validation[-1])
    shown = percent if quantity == "accuracy" else "{:.3g}".format
    chart = _Chart([train, validation], rows, history[-1].epoch, shown)
    return Panel(chart, title=title, title_align="left", border_style="dim", padding=(0, 1))


def _legend(quantity: str, train: float, validation: float) -> "Text":
    """The quantity and its two values, in the colours of their curves."""
    from rich.text import Text

    shown = percent if quantity == "accuracy" else "{:.3f}".format
    text = Text(quantity, "bold not dim", no_wrap=True, overflow="ellipsis")
    text.append(f"  train {shown(train)}", f"not bold {STYLES[0]}")
    return text.append(f"  validation {shown(validation)}", f"not bold {STYLES[1]}")


class _Chart:
    """Curves with a scale on the left and the first and last epoch below, as wide as there is."""

    def __init__(
        self,
        series: Sequence[Sequence[float]],
        rows: int,
        last_epoch: int,
        shown: Callable[[float], str],
    ):
        self.series = series
        self.rows = rows
        self.last_epoch = last_epoch
        self.shown = shown

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        numbers = [value for values in self.series for value in values if math.isfinite(value)]
        low, high = (min(numbers), max(numbers)) if numbers else (0.0, 0.0)
        top, bottom = self.shown(high), self.shown(low)
        margin = max(len(top), len(bottom)) + 1
        width = max(options.max_width - margin, 1)
        lines = braille.draw(self.series, width, self.rows, low, high)
        for row, cells in enumerate(lines):
            label = {0: top, self.rows - 1: bottom}.get(row, "")
            line = Text(label.rjust(margin - 1) + " ", "dim", no_wrap=True, end="")
            for character, owner in cells:
                if owner is None:
                    line.append(" ")  # not every font has the empty braille pattern
                else:
                    line.append(character, f"not dim {STYLES[owner]}")
            yield line
            yield Text("")
        last = str(self.last_epoch)
        axis = "1" + last.rjust(width - 1) if width > len(last) + 1 else ""
        yield Text(" " * margin + axis, "dim", no_wrap=True, overflow="crop")


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


def convergence(epoch: Epoch) -> list[str]:
    """How the fixed points of an epoch were solved; nothing for a model without.

    Example:
        >>> convergence(Epoch(1, 1.9, 0.2, 1.8, 0.25, 0.01, 21, 18, 8.3e-7, True))
        ['21 + 18 iterations', 'residual 8.3e-07']
    """
    if epoch.iterations is None:
        return []
    adjoint = "" if epoch.backward_iterations is None else f" + {epoch.backward_iterations}"
    residual = "not finite" if epoch.residual is None else f"{epoch.residual:.1e}"
    failed = [] if epoch.converged else ["not converged"]
    return [f"{epoch.iterations}{adjoint} iterations", f"residual {residual}", *failed]


def converged_epochs(history: Sequence[Epoch]) -> str:
    return f"{sum(map(bool, (e.converged for e in history)))} of {len(history)} epochs converged"


def seed_line(seed: int, result: TrainResult) -> str:
    of_fixed_points = any(epoch.converged is not None for epoch in result.history)
    return (
        f"seed {seed}: test {percent(result.test['accuracy'])}, "
        f"validation {percent(result.val['accuracy'])}, "
        f"best epoch {result.best_epoch} of {len(result.history)}, "
        f"{converged_epochs(result.history) + ', ' if of_fixed_points else ''}"
        f"{result.seconds:.1f} s"
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
    if record["converged"] is not None:
        table.add_row("fixed point converged", f"in {percent(record['converged'])} of the epochs")
    table.add_row("run folder", record["run_dir"])
    Console(file=file, highlight=False).print(table)

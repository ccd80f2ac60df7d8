"""One measurement: what it needs first, what is run several times, and how long that takes on a machine of two cores."""
import contextlib
import dataclasses
import statistics
import typing


@contextlib.contextmanager
def nothing(_):
    yield None


@dataclasses.dataclass(frozen=True)
class Measurement:
    what: str
    run: typing.Callable  # (bench, what prepare yielded) → {figure: number}
    run_s: typing.Callable  # (bench) → seconds expected
    prepare_what: str = ""
    prepare: typing.Callable = nothing  # a context around all runs
    prepare_s: typing.Callable = lambda bench: 0
    runs: typing.Callable = lambda bench: bench.runs
    warm_up: bool = True

    def seconds(self, bench):
        return self.prepare_s(bench) + (self.runs(bench) + self.warm_up) * self.run_s(bench)

    def measure(self, bench):
        """The median of each figure, after a run that does not count; "all" has the runs."""
        if self.prepare_what:
            bench.progress.begin(self.prepare_what, self.prepare_s(bench))
        with self.prepare(bench) as prepared:
            results = []
            for number in range(0 if self.warm_up else 1, self.runs(bench) + 1):
                which = f"run {number} of {self.runs(bench)}" if number else "warm-up"
                bench.progress.begin(f"{self.what}, {which}", self.run_s(bench))
                results.append(self.run(bench, prepared))
        counted = results[self.warm_up :]
        return {key: statistics.median(result[key] for result in counted) for key in counted[0]} | {"all": counted}

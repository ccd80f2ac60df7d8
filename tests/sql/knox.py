"""The Knox test by brute force, from its definition in sql/README.md: what patrol.near_repeat() must give."""

import itertools


def permutations(days, simulations, seed):
    """The days as they are, then as they are permuted."""
    a, b = seed, 1
    yield list(days)
    for _ in range(simulations):
        shuffled = list(days)
        for i in range(1, len(days) + 1):
            a, b = a * 40014 % 2147483563, b * 40692 % 2147483399
            j = (a + b) % i
            shuffled[i - 1] = shuffled[j]
            shuffled[j] = days[i - 1]
        yield shuffled


def band(value, bounds):
    """The number of the band [bounds[k], bounds[k + 1]) that holds the value; None below the first."""
    return sum(value >= bound for bound in bounds) - 1 if value >= bounds[0] else None


def count(places, days, distances, day_bounds, metric):
    """Places in whole centimetres: squares and sums of them are exact."""
    table = [[0] * len(day_bounds) for _ in distances]
    for (p, d), (q, e) in itertools.combinations(zip(places, days), 2):
        dx, dy = abs(p[0] - q[0]), abs(p[1] - q[1])
        if metric == "manhattan":
            row = band(dx + dy, [bound * 100 for bound in distances])
        else:
            row = band(dx * dx + dy * dy, [(bound * 100) ** 2 for bound in distances])
        column = band(abs(d - e), day_bounds)
        if row is not None and column is not None:
            table[row][column] += 1
    return table


def near_repeat(events, distances, day_bounds, metric, simulations, seed):
    """events: (day, x, y) in days and whole centimetres. Gives observed, ratio, p as the function does."""
    events = sorted(events)
    places = [event[1:] for event in events]
    tables = [
        count(places, days, distances, day_bounds, metric)
        for days in permutations([event[0] for event in events], simulations, seed)
    ]
    observed, simulated = tables[0], tables[1:]
    ratio, p = [], []
    for i, row in enumerate(observed):
        sums = [sum(table[i][j] for table in simulated) for j in range(len(row))]
        ratio.append([n * simulations / total if total else None for n, total in zip(row, sums)])
        p.append([(1 + sum(table[i][j] >= n for table in simulated)) / (simulations + 1) for j, n in enumerate(row)])
    return {"observed": observed, "ratio": ratio, "p": p}

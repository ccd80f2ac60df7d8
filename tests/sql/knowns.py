"""What a reader of reports can compute: the least and the most that each number could be, by linear programming."""

import numpy
from scipy.optimize import linprog

ROUND = 1e-6


class Knowns:
    """What a reader knows: numbers, none below 0, and sums of them."""

    def __init__(self):
        self.number = {}
        self.sums = []
        self.some = set()  # what is at least 1

    def index(self, name):
        return self.number.setdefault(name, len(self.number))

    def at_least_one(self, name):
        self.index(name)
        self.some.add(name)

    def known(self, name, value):
        self.sums.append(([(self.index(name), 1)], value))

    def is_sum(self, name, parts):
        self.sums.append(([(self.index(name), -1)] + [(self.index(part), 1) for part in parts], 0))

    def bounds(self, name):
        n = len(self.number)
        matrix = numpy.zeros((len(self.sums), n))
        for row, (terms, _) in enumerate(self.sums):
            for column, factor in terms:
                matrix[row, column] += factor
        right = [value for _, value in self.sums]
        ends = []
        for direction in (1, -1):
            goal = numpy.zeros(n)
            goal[self.index(name)] = direction
            limits = [(1 if name in self.some else 0, None) for name in self.number]
            found = linprog(goal, A_eq=matrix, b_eq=right, bounds=limits, method="highs")
            assert found.status in (0, 3), found.message  # 3: without bound
            ends.append(direction * found.fun if found.status == 0 else float("inf"))
        return ends


def assert_free(test, knowns, names, context):
    for name in names:
        low, high = knowns.bounds(name)
        test.assertGreaterEqual(high - low, 1 - ROUND, f"{name} is at least {low} and at most {high}\n{context}")

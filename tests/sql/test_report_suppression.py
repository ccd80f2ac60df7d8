"""What the district safety report leaves out: that nobody can compute it from the rest, nor from the other reports."""

import json
import random

from knowns import Knowns, assert_free
from psycopg.types.json import Jsonb
from support import SchemaTest


class Suppression(SchemaTest):
    """On random tables: everything that is left out may be at least one more or less."""

    def published(self, counts, min_cell):
        rows = self.superuser.execute(
            "with h as (select coalesce(jsonb_object_agg(code || '|' || figure, true), '{}') as hidden"
            "             from mobeye.hidden_in(%(c)s, %(m)s::integer))"
            " select code, mobeye.area_figures(%(c)s, mobeye.with_none(%(c)s, h.hidden), code, null, '{}', %(m)s::integer) from h, jsonb_object_keys(%(c)s) as code",
            {"c": Jsonb(counts), "m": min_cell},
        ).fetchall()
        return dict(rows)

    def random_counts(self, chance):
        areas = [f"WK{n}" for n in range(chance.randint(1, 6))] + [""]
        kinds = ["motion", "intrusion", "panic", "camera"][: chance.randint(1, 4)]
        outcomes = ["confirmed", "false_alarm", "open"][: chance.randint(1, 3)]
        small = chance.random()
        counts = {}
        for area in areas:
            row = {}

            def draw():
                return chance.choice([0, chance.randint(0, 4), chance.randint(0, 30)]) if chance.random() < small else chance.randint(5, 90)

            row["burglaries"], row["measure:tent"] = draw(), draw()
            if chance.random() < 0.8:
                for kind in kinds:
                    row["kind:" + kind] = draw()
            row["alarms"] = sum(n for name, n in row.items() if name.startswith("kind:"))
            left = row["alarms"]
            for outcome in outcomes:
                row["outcome:" + outcome] = left if outcome == outcomes[-1] else chance.randint(0, left)
                left -= row["outcome:" + outcome]
            for _ in range(row["alarms"]):
                hour = f"hour:{chance.choice([1, 20, 21, 22, 23, 167])}"
                row[hour] = row.get(hour, 0) + 1
            row["verified"] = chance.randint(0, row["alarms"])
            row["placements"] = chance.choice([0, chance.randint(1, 8), 30])
            row["set_nights"] = row["placements"] * chance.randint(1, 30)
            zero = chance.random() < 0.3  # what is none may be counted as such, or not at all
            counts[area] = {name: n for name, n in row.items() if n or zero}
        names = {name for row in counts.values() for name in row}
        counts["*"] = {name: sum(row.get(name, 0) for row in counts.values()) for name in names}
        return {code: row for code, row in counts.items() if row or code == "*"}

    def knowns(self, counts, shown):
        knowns, hidden = Knowns(), []
        areas = [code for code in counts if code != "*"]

        def tell(code, figure, value, real):
            if value is None:
                hidden.append((code, figure))
                if figure in ("burglaries", "tent"):  # none is published, whatever else is left out
                    knowns.at_least_one((code, figure))
            else:
                self.assertEqual(value, real, (code, figure))
                knowns.known((code, figure), value)

        for figure in ("burglaries", "alarms", "verified", "set_nights"):
            for code in counts:
                tell(code, figure, shown[code][figure], counts[code].get(figure, 0))
            knowns.is_sum(("*", figure), [(a, figure) for a in areas])
        for code in counts:
            tell(code, "tent", shown[code]["measures"]["tent"], counts[code].get("measure:tent", 0))
        knowns.is_sum(("*", "tent"), [(a, "tent") for a in areas])
        hours = sorted({name for row in counts.values() for name in row if name.startswith("hour:")})
        for group, prefix in (("alarms_by_kind", "kind:"), ("outcomes", "outcome:"), ("hours", "hour:")):
            words = hours if group == "hours" else sorted({n for r in counts.values() for n in r if n.startswith(prefix)})
            for code in counts:
                for word in words:
                    value = (shown[code]["hour_of_week"][int(word[5:])] if group == "hours"
                             else shown[code][group][word[len(prefix):]])
                    tell(code, word, value, counts[code].get(word, 0))
                published = ({f"hour:{h}": n for h, n in enumerate(shown[code]["hour_of_week"])} if group == "hours"
                             else {prefix + word: n for word, n in shown[code][group].items()})
                others = [word for word, n in published.items() if word not in words and n is None]
                if others:
                    self.assertEqual(sum(counts[code].get(word, 0) for word in others), 0)
                elif code == "*":  # each that is left out is known to occur
                    for word in words:
                        if published[word] is None:
                            knowns.at_least_one((code, word))
                if words:
                    knowns.is_sum((code, "alarms"), [(code, word) for word in words] + [(code, group, "others")] * bool(others))
            for word in words:
                knowns.is_sum(("*", word), [(a, word) for a in areas])
        return knowns, hidden

    def test_nothing_that_is_left_out_can_be_computed(self):
        chance = random.Random(307)
        left_out = shown_small = 0
        for _ in range(60):
            counts = self.random_counts(chance)
            min_cell = chance.choice([5, 5, 5, 3, 10])
            shown = self.published(counts, min_cell)
            knowns, hidden = self.knowns(counts, shown)
            for code, row in counts.items():
                for figure in ("burglaries", "alarms", "verified"):
                    shown_small += 0 < (shown[code][figure] or 0) < min_cell
            # Only numbers left out that can be small: one of min_cell or more that is known exactly tells nothing.
            small = [name for name in hidden if counts[name[0]].get(name[1] if name[1] != "tent" else "measure:tent", 0) < min_cell]
            left_out += len(small)
            assert_free(self, knowns, small, json.dumps([min_cell, counts]))
        self.assertEqual(shown_small, 0)
        self.assertGreater(left_out, 500)

    def test_nothing_can_be_computed_with_near_repeats_and_hotspots(self):
        """They tell how many there are together, and that so many of an area lie in cells of 3 or more."""
        chance = random.Random(17)
        left_out = untold = totals = 0
        for _ in range(120):
            areas = [f"WK{n}" for n in range(chance.randint(1, 7))] + [""]
            most = chance.choice([1, 3, 3, 6, 30])
            counts = {area: {name: n for name in ("burglaries", "attempts") if (n := chance.choice([0, chance.randint(1, most)]))} for area in areas}
            for row in counts.values():
                row["seen"] = chance.choice([0, n]) if (n := sum(row.values())) >= 3 else 0
            counts = {area: row for area, row in counts.items() if len(row) > 1}
            counts["*"] = {name: sum(row.get(name, 0) for row in counts.values()) for name in ("burglaries", "attempts")}
            codes = ["*"] + sorted(area for area in counts if area != "*")
            hidden = set(self.superuser.execute("select code, figure from mobeye.hide_burglaries(%s, %s, 5)", [codes, Jsonb(counts)]).fetchall())
            knowns = Knowns()
            for code in codes:
                for figure in ("burglaries", "attempts"):
                    if (code, figure) not in hidden:
                        knowns.known((code, figure), counts[code].get(figure, 0))
                    elif code != "*":
                        knowns.at_least_one((code, figure))
            for figure in ("burglaries", "attempts"):
                knowns.is_sum(("*", figure), [(a, figure) for a in codes[1:]])
            knowns.is_sum("events", [("*", "burglaries"), ("*", "attempts")])
            if ("*", "events") in hidden or 0 < sum(counts["*"].values()) < 5:
                untold += 1
            else:
                knowns.known("events", sum(counts["*"].values()))
                for area in codes[1:]:
                    knowns.is_sum((area, "events"), [(area, "burglaries"), (area, "attempts")])
                    knowns.is_sum((area, "events"), [(area, "others"), (area, "seen")])
                    knowns.known((area, "seen"), counts[area]["seen"])
            small = [name for name in hidden if 0 < counts[name[0]].get(name[1], 0) < 5]
            left_out += len(small)
            totals += ("*", "burglaries") in small
            assert_free(self, knowns, small, json.dumps([sorted(hidden), counts]))
            alone, with_others = (set(self.superuser.execute("select code, figure from mobeye.hidden_in(%s, 5, %s)", [Jsonb(counts), bound]).fetchall())
                                  for bound in (False, True))
            self.assertLessEqual(alone, with_others)
        self.assertTrue(left_out > 150 and totals > 5 and untold > 3, (left_out, totals, untold))

    def test_nights_of_placements_that_were_erased_are_left_out(self):
        # A placement counts in the month in which it ended; its nights do in each.
        counts = {code: {"set_nights": 31} for code in ("WK1", "WK2")} | {"WK3": {"set_nights": 90, "placements": 9}}
        counts["*"] = {"set_nights": 152, "placements": 9}
        self.assertEqual([self.published(counts, 5)[code]["set_nights"] for code in ("WK1", "WK2", "WK3", "*")], [None, None, 90, 152])

    def test_alarms_without_enough_placements_are_left_out(self):
        counts = {code: {"alarms": 40, "kind:motion": 40, "hour:1": 40, "outcome:open": 40} for code in ("WK1", "WK2", "WK3")}
        for code, placements in (("WK2", 5), ("WK3", 30)):
            counts[code] |= {"placements": placements, "set_nights": 90}
        counts["WK4"] = {"burglaries": 9}
        counts["*"] = {name: sum(row.get(name, 0) for row in counts.values()) for row in counts.values() for name in row}
        shown = self.published(counts, 5)
        self.assertEqual([shown[code]["alarms"] for code in ("WK1", "WK2", "WK3", "WK4", "*")], [None, None, 40, 0, 120])
        self.assertEqual(shown["WK1"]["set_nights"], None)

    def test_where_no_set_stood_nothing_is_left_out(self):
        none = {"placements": 0, "alarms": 0, "set_nights": 0}
        for counts in ({"*": {"placements": 0}}, {"WK1": none, "WK2": none | {"burglaries": 9}, "*": none | {"burglaries": 9}}):
            for code, shown in self.published(counts, 5).items():
                self.assertEqual([shown["alarms"], shown["set_nights"], shown["verified"], set(shown["hour_of_week"])], [0, 0, 0, {0}], code)

    def test_five_of_one_each_are_not_told_by_what_occurs(self):
        row = {"alarms": 5, "placements": 30, "set_nights": 90}
        row |= {f"kind:{kind}": 1 for kind in ("motion", "intrusion", "panic", "camera", "fire")}
        row |= {f"hour:{hour}": 1 for hour in (1, 20, 21, 22, 167)} | {"outcome:open": 5}
        counts = {"WK1": row, "": {"burglaries": 9}}
        counts["*"] = row | {"burglaries": 9}
        knowns, hidden = self.knowns(counts, self.published(counts, 5))
        self.assertIn(("*", "hour:1"), hidden)
        self.assertIn(("*", "kind:fire"), hidden)
        assert_free(self, knowns, hidden, "")

    def test_a_higher_minimum_shows_nothing_that_a_lower_one_leaves_out(self):
        chance = random.Random(11)
        for _ in range(20):
            counts = self.random_counts(chance)
            hidden = [set(self.superuser.execute("select code, figure from mobeye.hidden_in(%s, %s::integer)",
                                                 [Jsonb(counts), m]).fetchall()) for m in (5, 8, 12)]
            self.assertLessEqual(hidden[0], hidden[1])
            self.assertLessEqual(hidden[1], hidden[2])

    def test_as_little_as_possible_of_a_line_is_left_out(self):
        for line, hidden in [((30, 10, 20), []), ((33, 3, 10, 20), [3, 10]), ((7, 3, 4), [3, 4]), ((3, 3), [3, 3]),
                             ((32, 1, 1, 10, 20), [1, 1, 10]), ((5, 1, 1, 1, 1, 1), [5, 1, 1, 1, 1, 1]), ((10, 0, 10), [])]:
            got = self.value(self.superuser, "select mobeye.hide_line(%s::bigint[], array_fill(false, array[%s::integer]), 5)",
                             list(line), len(line))
            self.assertEqual([n for n, left in zip(line, got) if left], hidden, line)

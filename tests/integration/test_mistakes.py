"""The mistakes of a night (tests/conf/mistakes): each is reported at its line, in its own words, and not buried."""
import re
import subprocess

import pytest

from harness.paths import MOBEYED, ROOT

FOLDER = ROOT / "tests" / "conf" / "mistakes"
ESCAPE = re.compile(r"\\(t|r|n|x[0-9a-f]{2})")
CASE = re.compile(r"== (.+)\n- (.+)\n\+ (.*)\n> (\d+|good)(?: (.+))?\n")
MOST = 3  # messages about one mistake


def raw(text):
    def byte(match):
        word = match[1]
        return bytes([int(word[1:], 16)]) if word[0] == "x" else {"t": b"\t", "r": b"\r", "n": b"\n"}[word]
    parts = ESCAPE.split(text)
    return b"".join(byte(re.match(r"\\(.+)", "\\" + part)) if i % 2 else part.encode() for i, part in enumerate(parts))


def cases():
    text = (FOLDER / "mistakes.txt").read_text()
    found = CASE.findall(text)
    assert len(found) == text.count("\n== "), "every case has its four lines"
    return found


def check(file):
    return subprocess.run([MOBEYED, "--check", "-c", file], capture_output=True, text=True, timeout=60)


def test_there_are_sixty():
    assert len(cases()) >= 60
    assert len({title for title, *_ in cases()}) == len(cases())


@pytest.mark.parametrize("title, old, new, line, words", cases(), ids=[case[0].replace(" ", "-") for case in cases()])
def test_a_mistake_is_named(tmp_path, title, old, new, line, words):
    good = (FOLDER / "night.yaml").read_bytes()
    everywhere = old == r"\n"
    assert everywhere or good.count(raw(old)) >= 1
    file = tmp_path / "night.yaml"
    file.write_bytes(good.replace(raw(old), raw(new), -1 if everywhere else 1))
    ran = check(file)
    said = (ran.stdout + ran.stderr).splitlines()
    if line == "good":
        assert ran.returncode == 0, said
        return
    diagnostics = [message for message in said if message.startswith(f"{file}:")]
    mine = [message for message in diagnostics if message.startswith(f"{file}:{line}:") and words in message]
    assert mine, said
    assert len(diagnostics) <= MOST + (ran.returncode == 0), said
    assert ran.returncode == (0 if "warning:" in words else 2)


def test_the_file_itself_is_good():
    ran = check(FOLDER / "night.yaml")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == (f"{FOLDER / 'night.yaml'}: valid (groups, layers, areas and teams of the rules were not looked up; "
                          "--db does)\n")

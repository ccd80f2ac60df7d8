"""What a campaign counts: a line of JSON each in the file $MOBEYE_FIGURES."""
import json
import os


def note_figures(**figures):
    path = os.environ.get("MOBEYE_FIGURES")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")

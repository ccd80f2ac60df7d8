from harness.fixtures import *  # noqa: F401,F403 (the fixtures and hooks of every test)
from harness.fixtures import pytest_runtest_makereport, pytest_sessionstart  # noqa: F401

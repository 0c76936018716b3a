"""Alert rules as they are, but for time and amounts: what takes hours in earnest is seen here in seconds.

Numbers come every second instead of every 15. A window is a thirtieth of itself, but six to twelve seconds; what
an alert waits (`for`) a sixtieth, but one to three. Limits on ages and on numbers of messages are as in `LIMITS`.
Everything else, every metric, label and comparison, is what is used in earnest.
"""

import re
from datetime import timedelta
from typing import Final

import promql_parser as promql
import yaml

LIMITS: Final = {"60": "2", "120": "3", "900": "5", "14400": "5", "2000": "20", "15000": "150", "150000": "1500"}
"""Seconds, and messages in a queue: what is compared with in earnest, and what is here."""


def rules(content: str) -> str:
    """The rules file, shortened."""
    loaded = yaml.safe_load(content)
    for group in loaded["groups"]:
        for rule in group["rules"]:
            rule["expr"] = expression(rule["expr"])
            if "for" in rule:
                rule["for"] = _between(1, 3, promql.parse_duration(rule["for"]) / 60)
    return yaml.safe_dump(loaded, sort_keys=False)


def expression(expr: str) -> str:
    expr = re.sub(r"\[(\w+)\]", lambda found: f"[{_window(found[1])}]", expr)
    expr = re.sub(r"offset (\w+)", lambda found: f"offset {_window(found[1])}", expr)
    return re.sub(r"> (\d+)\b", lambda found: f"> {LIMITS.get(found[1], found[1])}", expr)


def scraping(content: str) -> str:
    """Prometheus' own settings, shortened."""
    loaded = yaml.safe_load(content)
    loaded["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    return yaml.safe_dump(loaded, sort_keys=False)


def _window(duration: str) -> str:
    return _between(6, 12, promql.parse_duration(duration) / 30)


def _between(least: int, most: int, duration: timedelta) -> str:
    return f"{max(least, min(most, round(duration.total_seconds())))}s"

"""A migration goes first, while the version before it still runs: it only adds, and holds nobody up.

What nothing needs any more goes with a later version, in a migration that says so (`contracts = True`).
"""

import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations

from deploy.local.bus import ROOT

SQUAWK: Final = str(Path(sys.executable).parent / "squawk")
NOT_ASKED: Final = (
    "prefer-robust-stmts",  # each migration is a transaction of its own: what fails leaves nothing behind
    "require-statement-timeout",  # what takes long is not what holds others up
    "require-lock-timeout",  # `database.upgrade` sets it for all
    "prefer-bigint-over-int",  # sequences of a subject, attempts, receipts: none comes near two thousand million
)
OF_CONTRACTION: Final = ("ban-drop-column", "ban-drop-table", "ban-drop-not-null")
BEFORE_FIRST_USE: Final = {"chassis_0002", "intake_0002_persons"}
"""They went in one with what they need, before anybody used the product."""


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MIGRATIONS = {
    module.revision: module for path in ROOT.glob("services/*/migrations/*/[0-9]*.py") if (module := load(path))
}


def sql(migration: ModuleType) -> str:
    written = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written}
    )
    with Operations.context(context):
        migration.upgrade()
    return written.getvalue()


def objections(statements: str, *, contracts: bool = False) -> set[str]:
    """The rules of squawk that a migration breaks."""
    excluded = [*NOT_ASKED, *(OF_CONTRACTION if contracts else ())]
    asked = [SQUAWK, "--pg-version=18", "--assume-in-transaction", f"--exclude={','.join(excluded)}"]
    done = subprocess.run(
        [*asked, "--reporter=json"], input=statements, capture_output=True, text=True, check=False
    )
    return {found["rule_name"] for found in json.loads(done.stdout)}


@pytest.mark.parametrize("revision", sorted(MIGRATIONS.keys() - BEFORE_FIRST_USE))
def test_migration_leaves_the_version_before_it_at_work(revision: str) -> None:
    migration = MIGRATIONS[revision]
    assert objections(sql(migration), contracts=getattr(migration, "contracts", False)) == set()


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("ALTER TABLE opdracht DROP COLUMN body;", "ban-drop-column"),
        ("DROP TABLE opdracht;", "ban-drop-table"),
        ("ALTER TABLE opdracht RENAME COLUMN body TO inhoud;", "renaming-column"),
        ("ALTER TABLE opdracht RENAME TO order_;", "renaming-table"),
        ("ALTER TABLE opdracht ALTER COLUMN body TYPE text;", "changing-column-type"),
        ("ALTER TABLE opdracht ADD COLUMN bron text NOT NULL;", "adding-required-field"),
        ("ALTER TABLE opdracht ALTER COLUMN bron SET NOT NULL;", "adding-not-nullable-field"),
        ("CREATE INDEX opdracht_bron ON opdracht (bron);", "require-concurrent-index-creation"),
    ],
)
def test_what_would_stop_the_version_before_it_is_seen(statement: str, rule: str) -> None:
    assert rule in objections(statement)


def test_only_a_migration_that_says_so_takes_away() -> None:
    assert objections("DROP TABLE opdracht;", contracts=True) == set()
    assert objections("ALTER TABLE opdracht RENAME TO order_;", contracts=True) != set()

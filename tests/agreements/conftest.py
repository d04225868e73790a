"""A community of the project's own data file, in a database of the test's own."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from agreements.communities import load, read_data_file
from engine.database import Database
from engine.model import Community, Deployment, ProcessDefinition, ProcessInstance
from tests.conftest import Templates

NOW = datetime(2026, 5, 18, 8, 0, tzinfo=UTC)
VESTFOLD = Path(__file__).parents[2] / "agreements" / "data" / "vestfold.json"


@pytest.fixture
def data() -> dict[str, Any]:
    """The file's contents, free to spoil."""
    return deepcopy(read_data_file(VESTFOLD))


@pytest.fixture
def session(templates: Templates, request: pytest.FixtureRequest) -> Iterator[Session]:
    loaded = "community" in request.fixturenames
    url = templates.copy("sqlite", *(("vestfold", _load) if loaded else ("empty", lambda database: None)))
    database = Database(url)
    with database.transaction() as opened:
        yield opened
    database.dispose()
    templates.drop("sqlite", url)


def _load(database: Database) -> None:
    with database.transaction() as session:
        load(session, read_data_file(VESTFOLD), now=NOW)


@pytest.fixture
def community(session: Session) -> Community:
    return session.scalars(select(Community)).one()


@pytest.fixture
def start(session: Session, community: Community) -> Callable[..., ProcessInstance]:
    """Starts an instance of a process with the given data, as rows only."""

    def started(key: str = "delavtale_evaluering", **values: object) -> ProcessInstance:
        deployment = Deployment(community_id=community.id, deployed_at=NOW)
        session.add(deployment)
        session.flush()
        definition = ProcessDefinition(
            community_id=community.id,
            deployment_id=deployment.id,
            key=key,
            version=deployment.id,
            name="Evaluering",
            checksum="",
            xml="",
            forms={},
        )
        session.add(definition)
        session.flush()
        instance = ProcessInstance(
            community_id=community.id,
            definition_id=definition.id,
            title="Evaluering av delavtale om helhetlige pasientforløp",
            started_at=NOW,
            data=values,
        )
        session.add(instance)
        session.flush()
        return instance

    return started

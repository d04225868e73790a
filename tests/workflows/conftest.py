"""Stories are told in a world with a clock and a mailer."""

from typing import Any

import pytest

from tests.fakes import RecordingMailer
from tests.workflows.story import Story
from tests.world import World


@pytest.fixture
def story(world: World, services: Any, mailer: RecordingMailer) -> Story:
    return Story(world, services, mailer)

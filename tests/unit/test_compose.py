"""docker-compose.yml: it parses, is pinned, starts in order, and speaks in real settings and commands."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from streams.settings import PREFIX, Settings, load_settings

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
ONE_SHOT: Final = {
    name
    for service in SERVICES.values()
    for name, wait in service.get("depends_on", {}).items()
    if wait["condition"] == "service_completed_successfully"
}
HUB: Final = sorted(name for name, service in SERVICES.items() if "build" in service)
VERBS: Final = {"up", "migrate", "topics"}
CONDITIONS: Final = {"service_healthy", "service_completed_successfully"}
EXACT: Final = re.compile(r"v?\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?")


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_an_exact_version(name: str) -> None:
    """Two machines run the same thing, also next year."""
    image, _, tag = SERVICES[name]["image"].rpartition(":")
    assert image
    assert EXACT.fullmatch(tag)


def test_the_base_image_has_an_exact_version_and_libraries_come_from_the_lock() -> None:
    """What the image holds is decided in the repository."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    for image in re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE):
        assert EXACT.fullmatch(image.rpartition(":")[2])
    assert "--require-hashes -r requirements.lock" in dockerfile


def test_the_image_carries_the_version_of_the_project() -> None:
    """A release cannot run under the name of the one before."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {SERVICES[name]["image"] for name in HUB} == {f"claimhub:{version}"}


def test_every_path_the_image_is_made_of_exists_and_reaches_the_build() -> None:
    """A renamed folder is noticed here and not by the first build."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = {path for line in re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile, re.MULTILINE) for path in line.split()}
    passed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == passed
    assert [path for path in copied if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONE_SHOT))
def test_a_service_that_stays_has_a_health_check_and_comes_back(name: str) -> None:
    """Whoever waits for it waits for its work, not for its process."""
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert check.keys() == {"test", "interval", "timeout", "retries", "start_period"}
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_services_that_exist(name: str) -> None:
    """Each wait has a condition, and one for health is on a service that has a check."""
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        assert wait.keys() == {"condition"}
        assert wait["condition"] in CONDITIONS
        assert (other in ONE_SHOT) == (wait["condition"] == "service_completed_successfully")
        assert other in SERVICES
        assert SERVICES[other].get("profiles", []) == []


def test_the_start_order_has_no_circle() -> None:
    """Something starts first, and everything starts in the end."""
    waiting = {name: set(service.get("depends_on", {})) for name, service in SERVICES.items()}
    while waiting:
        free = {name for name, others in waiting.items() if not others & waiting.keys()}
        assert free, f"these wait for each other: {sorted(waiting)}"
        waiting = {name: others for name, others in waiting.items() if name not in free}


@pytest.mark.parametrize("name", HUB)
def test_the_hub_gets_settings_that_are_read(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every variable is a setting, every value is one it can have, every secret file has a setting's name."""
    monkeypatch.chdir(tmp_path)
    environment: dict[str, str] = SERVICES[name]["environment"]
    for variable, value in environment.items():
        assert isinstance(value, str), f"{variable} needs quotes: compose would guess its type"
        monkeypatch.setenv(variable, value)
    assert all(variable.startswith(PREFIX) for variable in environment)
    settings = load_settings(environment)
    assert not settings.embedded_kafka
    assert environment[f"{PREFIX}SECRETS_DIR"] == "/run/secrets"
    for secret in SERVICES[name]["secrets"]:
        assert secret.removeprefix(PREFIX.lower()) in Settings.model_fields
        assert f"{PREFIX}{secret.removeprefix(PREFIX.lower()).upper()}" not in environment


@pytest.mark.parametrize("name", HUB)
def test_the_hub_is_sent_to_services_of_this_file_and_waits_for_them(name: str) -> None:
    """Hosts are services; the worker waits for all three."""
    environment = SERVICES[name]["environment"]
    hosts = {
        environment["CLAIMHUB_KAFKA"].partition(":")[0],
        urlsplit(environment["CLAIMHUB_REGISTRY"]).hostname,
        urlsplit(environment["CLAIMHUB_LEDGER"]).hostname,
    }
    assert hosts <= SERVICES.keys()
    if name not in ONE_SHOT:
        assert hosts | ONE_SHOT == SERVICES[name]["depends_on"].keys()


@pytest.mark.parametrize("name", HUB)
def test_the_hub_runs_a_command_it_has(name: str) -> None:
    """The first word is a verb of the command line."""
    assert SERVICES[name]["command"][0] in VERBS


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback(name: str) -> None:
    """Nothing is open to the network unless someone decides so; no two services want one port."""
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len({port.split(":")[1] for port in published}) == len(published)
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_passwords_come_from_files_and_volumes_are_declared() -> None:
    """No password stands in this file, and no data lives in a container."""
    for service in SERVICES.values():
        for variable in service.get("environment", {}):
            if "PASSWORD" in variable:
                assert variable.endswith("_FILE")
        assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (ROOT / source).is_dir() if source.startswith(".") else source in COMPOSE["volumes"]
    assert all(secret["file"].startswith(".claimhub/") for secret in COMPOSE["secrets"].values())


def test_the_keys_live_in_a_volume_that_only_the_worker_has() -> None:
    """They outlive the container, which keeps nothing else; its user may write there, and nobody else may read."""
    folder = SERVICES["worker"]["environment"]["CLAIMHUB_KEYS_DIR"]
    assert [name for name, it in SERVICES.items() if f"keys:{folder}" in it.get("volumes", [])] == ["worker"]
    assert f"install --directory --owner claimhub --mode 0700 {folder}\n" in (ROOT / "Dockerfile").read_text()


def test_prometheus_scrapes_the_port_the_worker_serves() -> None:
    """The scrape configuration and the compose file agree."""
    (job,) = yaml.safe_load((ROOT / "monitoring/prometheus/prometheus.yml").read_text())["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    environment = SERVICES["worker"]["environment"]
    assert found["names"] == ["worker"]
    assert str(found["port"]) == environment["CLAIMHUB_HTTP_PORT"]
    assert f":{found['port']}/health/ready" in SERVICES["worker"]["healthcheck"]["test"][-1]

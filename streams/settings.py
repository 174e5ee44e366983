"""Every setting of the hub: environment over TOML over defaults; an unknown name is an error."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

PREFIX = "CLAIMHUB_"
FILE = "claimhub.toml"
EMBEDDED = "embedded"


class SettingsError(Exception):
    """A setting is unknown or has a value it cannot have."""


class Settings(BaseSettings):
    """The hub's settings. Each is `CLAIMHUB_<NAME>` in the environment or `<name>` in claimhub.toml."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        toml_file=FILE,
        extra="forbid",
        frozen=True,
        secrets_dir=os.environ.get(f"{PREFIX}SECRETS_DIR"),
    )

    kafka: str = Field(EMBEDDED, description="Kafka bootstrap servers, or `embedded` for the in-process broker")
    kafka_options: dict[str, str] = Field(
        {}, description="more librdkafka options for every client (SASL, TLS), as JSON"
    )
    kafka_password: SecretStr | None = Field(None, description="SASL password of every Kafka client")
    registry: str = Field(EMBEDDED, description="Confluent-compatible schema registry URL, or `embedded`")
    ledger: str = Field(
        "", description="ledger URL: postgresql://… or sqlite:///file; default: a SQLite file in data_dir"
    )
    ledger_password: SecretStr | None = Field(None, description="password of the PostgreSQL ledger")
    data_dir: Path = Field(
        Path(".claimhub"), description="folder of the SQLite ledger, the embedded broker's address and the stack"
    )
    debtor_accounts: dict[str, dict[str, str]] = Field(
        {}, description="by currency the account to pay from: its name, account and bank_code (CNAPS), as JSON"
    )
    keys_dir: Path | None = Field(
        None, description="folder of the keys that sign payment instructions; default: keys in data_dir"
    )
    group: str = Field("claimhub", description="Kafka consumer group of the workers")
    lanes: int = Field(4, ge=1, le=256, description="partitions of every claim topic; fixed once the topics exist")
    commits_in_flight: int = Field(3, ge=1, le=32, description="lanes that may commit at the same time")
    batch_records: int = Field(5000, ge=1, le=50_000, description="most records in one batch of a lane")
    max_record_bytes: int = Field(1_000_000, ge=1_000, description="a larger record becomes a dead letter, undecoded")
    dead_letter_limit: int = Field(100, ge=1, description="dead letters in a row that stop a lane")
    parked_limit_h: int = Field(72, ge=1, description="hours a record may wait for another before it is a break")
    booking_days: int = Field(2, ge=0, le=30, description="banking days the bank has to book a payment that is due")
    watchdog_s: float = Field(60.0, gt=0, description="seconds with lag and no progress before the worker leaves")
    http_host: str = Field("127.0.0.1", description="address of metrics and health")
    http_port: int = Field(8810, ge=0, le=65535, description="port of metrics and health; 0 takes a free one")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least severe log line written")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, file_secret_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def embedded_kafka(self) -> bool:
        """Whether the in-process broker is used."""
        return self.kafka == EMBEDDED

    @property
    def embedded_registry(self) -> bool:
        """Whether the schema registry of this process is used."""
        return self.registry == EMBEDDED

    @property
    def parked_limit_ms(self) -> int:
        """How long a record may wait for another before that is a break."""
        return self.parked_limit_h * 3_600_000

    @property
    def ledger_url(self) -> str:
        """The ledger's URL with its default filled in."""
        return self.ledger or f"sqlite:///{self.data_dir / 'ledger.db'}"

    @property
    def keys(self) -> Path:
        """The folder of keys with its default filled in."""
        return self.keys_dir or self.data_dir / "keys"

    def kafka_client(self) -> dict[str, str | int | float | bool]:
        """The options every librdkafka client starts from."""
        options: dict[str, str | int | float | bool] = {"bootstrap.servers": self.kafka, **self.kafka_options}
        if self.kafka_password is not None:
            options["sasl.password"] = self.kafka_password.get_secret_value()
        return options


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings. Raises SettingsError naming the setting, where it came from and what is right."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {f"{PREFIX}SECRETS_DIR"}
    for name in environ:
        if name.startswith(PREFIX) and name not in known and not name.startswith(f"{PREFIX}TEST_"):
            near = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0]}?" if near else "Run: claimhub config show"
            raise SettingsError(f"environment variable {name} is not a setting. {hint}")
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"setting {name} ({PREFIX}{name.upper()} or {FILE}): {first['msg']}. Run: claimhub config show"
        ) from None
    except ValueError as error:
        raise SettingsError(f"{FILE} cannot be read: {error}") from None

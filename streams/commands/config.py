"""`claimhub config show`: every setting with its value, where it comes from and what it means; secrets as ***."""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from streams.commands import show
from streams.settings import FILE, PREFIX, Settings, SettingsError

HIDDEN: Final = "***"
_SECRET_OPTION: Final = re.compile("password|secret|token|key|jaas|user[.]info", re.IGNORECASE)
_CREDENTIALS: Final = re.compile(r"(//[^/@:]*):[^/]*@")
_ACCOUNT: Final = re.compile(r'("account": ")[^"]*([^"]{4}")')
"""A bank account, of which the last four digits are shown."""
_URL_PASSWORD: Final = re.compile(r"([?&]password=)[^&]*", re.IGNORECASE)


class SettingValue(Struct, frozen=True):
    """One setting as it stands. `source` is the environment, a file, or `default`."""

    name: str
    variable: str
    value: str
    source: str
    meaning: str


def read_settings(environ: Mapping[str, str] = os.environ) -> list[SettingValue]:
    """Every setting as it is given, checked or not, so that a wrong one can be seen. Raises SettingsError for a
    claimhub.toml that is none."""
    in_file = _toml()
    folder = environ.get(f"{PREFIX}SECRETS_DIR")
    found = []
    for name, field in Settings.model_fields.items():
        variable = PREFIX + name.upper()
        secret = Path(folder, variable.lower()) if folder else None
        value: Any
        if variable in environ:
            value, source = environ[variable], "environment"
        elif secret is not None and secret.is_file():
            value, source = HIDDEN, str(secret)
        elif name in in_file:
            value, source = in_file[name], FILE
        else:
            value, source = "" if field.default is PydanticUndefined else field.default, "default"
        hidden = "SecretStr" in str(field.annotation) or isinstance(value, SecretStr)
        shown = "" if value is None else HIDDEN if hidden else _without_secrets(value)
        found.append(SettingValue(name, variable, shown, source, field.description or ""))
    return found


def show_settings(settings: list[SettingValue]) -> None:
    """Print the settings for a person."""
    rows = [(found.variable, found.value, found.source, found.meaning) for found in settings]
    show.table(("setting", "value", "source", "meaning"), rows, "no settings")


def _toml() -> dict[str, Any]:
    try:
        return tomllib.loads(Path(FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SettingsError(f"{FILE} cannot be read: {error}") from None


def _without_secrets(value: object) -> str:
    """A setting's value as it may be shown: no password inside a URL or among Kafka's options, no account."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False).strip('"')
    if text.startswith("{"):
        try:
            options = json.loads(text)
        except ValueError:
            return HIDDEN
        shown = {name: HIDDEN if _SECRET_OPTION.search(name) else v for name, v in options.items()}
        return _ACCOUNT.sub(r"\1…\2", json.dumps(shown, ensure_ascii=False))
    return _URL_PASSWORD.sub(rf"\1{HIDDEN}", _CREDENTIALS.sub(rf"\1:{HIDDEN}@", text))

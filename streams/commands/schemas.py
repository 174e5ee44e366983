"""`claimhub schemas register`: the hub's schemas in a schema registry."""

from connectors.registry import ConfluentRegistry, EmbeddedRegistry
from schemas.topics import TOPICS
from streams.settings import Settings


def register(settings: Settings) -> dict[str, int]:
    """Set each subject's compatibility and register each topic's schema; the id by topic. May be run again.

    The embedded registry has them all. Raises RegistryUnavailable.
    """
    if settings.embedded_registry:
        embedded = EmbeddedRegistry()
        return {topic: embedded.id_of(topic) for topic in TOPICS}
    return ConfluentRegistry(settings.registry).register_all()

"""All the hub knows of one policy: its versions, and the claims that wait for it."""

from msgspec import Struct

from schemas.records import Policy


class PolicyFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One policy's state in the ledger. `seen` holds the event ids already applied."""

    number: str
    versions: tuple[Policy, ...] = ()
    waiting: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()

    @property
    def plate(self) -> str | None:
        """The plate of the newest version, for the look-up by plate."""
        return self.versions[-1].plate if self.versions else None

"""What all of the ledger's tables share: where they are listed, how their constraints are named, and words."""

from typing import Final

from sqlalchemy import MetaData, Text

metadata: Final = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s",
    }
)

# Bytewise order: quicker to compare, and an index stays right when the system's locale data changes.
Word: Final = Text().with_variant(Text(collation="C"), "postgresql")

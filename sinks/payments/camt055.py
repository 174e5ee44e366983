"""Asks the bank not to make payments that are in a file already: ISO 20022 camt.055.001.08, one per payment file.

It follows from what it asks for alone, as the payment file does: the same payments make the same bytes and the same id.
"""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from lxml import etree
from lxml.builder import ElementMaker
from msgspec import Struct

from schemas.money import format_major
from schemas.records import BankAccount
from sinks.payments.pain001 import agent, uetr

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:camt.055.001.08"
_E: Final = ElementMaker(namespace=NAMESPACE, nsmap={None: NAMESPACE})
_BY_DEBTOR: Final = "CUST"
"""Cancellation requested by the debtor (ISO 20022 external cancellation reason code)."""


class Stop(Struct, frozen=True):
    """One payment that is not to be made, and when its claim asked for that."""

    instruction_id: str
    amount_minor: int
    currency: str
    asked_at_ms: int


class Stops(Struct, frozen=True):
    """Payments of one payment file that the bank is asked not to make."""

    debtor: BankAccount
    message_id: str
    payment_information_id: str
    payments: tuple[Stop, ...]

    @property
    def assignment_id(self) -> str:
        """The id of the request: of this file and these payments."""
        ids = sorted(it.instruction_id for it in self.payments)
        return "CX" + sha256("\n".join([self.message_id, *ids]).encode()).hexdigest()[:30]


def camt_055(stops: Stops) -> bytes:
    """The file that asks, its payments in the order of their ids."""
    payments = sorted(stops.payments, key=lambda it: it.instruction_id)
    asked = datetime.fromtimestamp(max(it.asked_at_ms for it in payments) / 1000, UTC)
    count = str(len(payments))
    total = format_major(sum(it.amount_minor for it in payments), payments[0].currency)
    document = _E.Document(
        _E.CstmrPmtCxlReq(
            _E.Assgnmt(
                _E.Id(stops.assignment_id),
                _E.Assgnr(_E.Pty(_E.Nm(stops.debtor.name))),
                _E.Assgne(_E.Agt(agent(_E, stops.debtor))),
                _E.CreDtTm(f"{asked:%Y-%m-%dT%H:%M:%SZ}"),
            ),
            _E.CtrlData(_E.NbOfTxs(count), _E.CtrlSum(total)),
            _E.Undrlyg(
                _E.OrgnlPmtInfAndCxl(
                    _E.OrgnlPmtInfId(stops.payment_information_id),
                    _E.OrgnlGrpInf(_E.OrgnlMsgId(stops.message_id), _E.OrgnlMsgNmId("pain.001.001.09")),
                    _E.PmtInfCxl("false"),
                    *map(_stop, payments),
                )
            ),
        )
    )
    return etree.tostring(document, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _stop(payment: Stop) -> etree._Element:
    amount = format_major(payment.amount_minor, payment.currency)
    return _E.TxInf(
        _E.OrgnlInstrId(payment.instruction_id),
        _E.OrgnlEndToEndId(payment.instruction_id),
        _E.OrgnlUETR(uetr(payment.instruction_id)),
        _E.OrgnlInstdAmt(amount, Ccy=payment.currency),
        _E.CxlRsnInf(_E.Rsn(_E.Cd(_BY_DEBTOR))),
    )

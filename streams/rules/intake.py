"""From a loss notice to a registered claim, or to one that is not accepted, with reasons and advice."""

from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from schemas.records import Document, LossNotice, NoticeKind, Policy, PolicyWanted, SameLoss, Wake, WakeKind
from streams.outcomes import Dead
from streams.rules import clause, facts, merge, notices, repeats, same_paper
from streams.rules.admission import check_policy_currency, noticed
from streams.rules.claim import Claim, Merge, Notice, Outcome, PolicyInForce, Task, TaskKind
from streams.rules.decision import Cause, Decision, Lookups, Output
from streams.rules.lines import LINES
from streams.rules.progress import advance


class _NotKnown(Struct, frozen=True):
    """No policy can be told yet: who can help, and why. `kind` is what they are asked for."""

    addressee: str
    why: str
    kind: TaskKind = TaskKind.POLICY


class _NotInForce(Struct, frozen=True):
    """The policy is known and does not cover the loss time."""

    why: str


def on_loss_notice(claim: Claim, record: LossNotice, cause: Cause, seen: Lookups) -> Decision:
    """Register the claim when a policy was in force at the loss time; a later notice corrects the earlier one.

    An unknown policy is asked for, and so are facts the line of business needs; both leave the claim reported. Raises
    Dead for an unknown line, a fact that is not written as it should be, a notice before its loss, in another currency
    than the policy's, for another line than before, or on a claim that is decided or was not accepted.
    """
    if claim.outcome is Outcome.NOT_ACCEPTED:
        raise Dead("not-accepted", "the claim was not accepted: report the loss under a new claim number")
    if claim.outcome is not None:
        raise Dead("too-late", f"the claim is decided ({claim.outcome}), so the notice changes nothing any more")
    if record.notified_at_ms < record.loss_at_ms:
        raise Dead("notice-before-loss", "notified_at_ms is before loss_at_ms")
    _check_line(record, claim.notice)
    notice = _kept(record, claim.notice, _repeats(record, seen))
    found = _missing_facts(record) or policy_for(claim, notice, notice.policy_number, seen)
    if isinstance(found, PolicyInForce):
        check_policy_currency(notice.currency, found, "the notice")
    corrects, claim = claim.notice is not None, replace(claim, notice=notice)
    reason = "a later notice corrects the earlier one" if corrects else "first notice of loss"
    text = f"Claim {claim.number}: we have received your loss notice (报案) and are looking into it."
    claim, told = notices.tell(claim, NoticeKind.RECEIVED, "", text, cause, reason)
    complete = not (isinstance(found, _NotKnown) and found.kind is TaskKind.FACTS)
    if seen.same_losses and complete and merge.may_ask(claim, seen):
        return merge.ask(claim, seen, cause, reason, told)
    claim, flagged = same_paper.found(claim, "photo", seen.others, cause)
    return with_policy(claim, notice, found, cause, reason, (*told, *flagged))


def on_document(claim: Claim, document: Document, cause: Cause, seen: Lookups) -> Decision:
    """Note a document on its claim, once; refuse one that another claim has. Raises Park before the notice."""
    noticed(claim, "the document")
    if document.document_id in claim.documents:
        return Decision(claim, "intake.document", f"document {document.document_id} is already there")
    if seen.others:
        return same_paper.refuse(claim, document.kind, seen.others, cause)
    claim = replace(claim, documents={**claim.documents, document.document_id: document.kind})
    reason = f"document {document.document_id} ({document.kind}) came"
    if any(task.kind is TaskKind.DOCUMENTS for task in claim.open_tasks):
        return advance(claim, cause, "intake.document", reason)
    return Decision(claim, "intake.document", reason)


def on_wake(claim: Claim, wake: Wake, cause: Cause, seen: Lookups) -> Decision:
    """Look for the policy again when it has arrived; any other wake changes nothing. Raises Park before the notice."""
    notice = noticed(claim, "the wake")
    asking = claim.merge is not None and bool(claim.merge.asked)
    if claim.policy is not None or claim.outcome is not None or asking or wake.kind is WakeKind.RETRY:
        return Decision(claim, "intake.wake", f"woken ({wake.kind}): the claim itself waits for no policy")
    number = notice.policy_number or wake.policy_number
    if any(task.kind is TaskKind.FACTS for task in claim.open_tasks):
        return Decision(claim, "intake.wake", f"woken ({wake.kind}): the claim waits for facts of its notice")
    return _look_again(claim, notice, number, cause, seen, f"policy {number} arrived")


def on_same_loss(claim: Claim, answer: SameLoss, cause: Cause, seen: Lookups) -> Decision:
    """Become part of the claim that says it is about the same loss; with none go on as a claim of its own."""
    notice = noticed(claim, "the answer")
    asked = () if claim.merge is None else claim.merge.asked
    if answer.other not in asked:
        return Decision(claim, merge.ANSWERED, f"claim {answer.other} was not asked, or is no longer")
    if answer.same:
        return merge.become_part(claim, answer.other, cause)
    left = tuple([other for other in asked if other != answer.other])
    claim = replace(claim, merge=Merge(asked=left))
    reason = f"claim {answer.other} is about another loss"
    if left:
        return Decision(claim, merge.ANSWERED, reason)
    return _look_again(claim, notice, notice.policy_number, cause, seen, reason)


def _look_again(claim: Claim, notice: Notice, number: str | None, cause: Cause, seen: Lookups, reason: str) -> Decision:
    found = policy_for(claim, notice, number, seen)
    if isinstance(found, PolicyInForce) and found.currency != notice.currency:
        found = _NotKnown("reporting", f"the notice is in {notice.currency}, policy {found.number} in {found.currency}")
    return with_policy(claim, notice, found, cause, reason, ())


def policy_at_loss(notice: Notice, versions: tuple[Policy, ...]) -> PolicyInForce | _NotKnown | _NotInForce:
    """The policy in force at the loss time: of each policy the newest version that had begun by then decides.

    `versions` are all versions of the policy named, or without a number of every policy on the plate.
    """
    if not versions and notice.policy_number is None:
        what = "of this plate is known" if notice.plate else "is named"
        return _NotKnown("reporting", f"no policy {what}: the notice needs a policy number")
    if not versions:
        return _NotKnown("underwriting", f"policy {notice.policy_number} is not known yet")
    begun: dict[str, Policy] = {}
    for version in versions:
        newest = begun.get(version.policy_number)
        if version.effective_from_ms <= notice.loss_at_ms and (newest is None or version.version > newest.version):
            begun[version.policy_number] = version
    numbers = " and ".join(sorted({version.policy_number for version in versions}))
    in_force = [policy for policy in begun.values() if notice.loss_at_ms < policy.effective_to_ms]
    if not in_force:
        return _NotInForce(f"policy {numbers} was not in force at the time of the loss")
    if len(in_force) > 1:
        return _NotKnown("reporting", f"policies {numbers} are in force: the notice needs a policy number")
    policy = in_force[0]
    other = _other_insured(policy, notice)
    if other is not None:
        return _NotKnown("reporting", f"policy {policy.policy_number} insures another {other}: correct the notice")
    number, loss_at_ms = policy.policy_number, notice.loss_at_ms
    earlier = [v for v in versions if v.policy_number == number and v.effective_from_ms <= loss_at_ms]
    return PolicyInForce(
        number=policy.policy_number,
        version=policy.version,
        currency=policy.currency,
        inception_at_ms=min([version.effective_from_ms for version in earlier]),
        raised_at_ms=_raised_at_ms(earlier) if len(earlier) > 1 else None,
        other_account=policy.holder_name != notice.payee.name,
        covers=policy.covers,
        issued_after_loss=policy.issued_at_ms > notice.loss_at_ms,
    )


def _raised_at_ms(versions: Sequence[Policy]) -> int | None:
    """When one of a policy's versions last insured more under a cover than the version before it."""
    raised_at_ms = None
    for before, after in pairwise(sorted(versions, key=lambda version: version.version)):
        sums = {cover.cover: cover.sum_insured_minor for cover in before.covers}
        if any(cover.sum_insured_minor > sums.get(cover.cover, 0) for cover in after.covers):
            raised_at_ms = after.effective_from_ms
    return raised_at_ms


def policy_for(
    claim: Claim, notice: Notice, number: str | None, seen: Lookups
) -> PolicyInForce | _NotKnown | _NotInForce:
    """The policy in force at the loss time, of the versions that hold for the loss as far as underwriting has said."""
    known = seen.policies(number, notice.plate or "")
    holding = clause.holding(claim, known)
    if known and not holding:
        return _NotInForce("the policy was not in force at the time of the loss, as underwriting says")
    return policy_at_loss(notice, holding)


def with_policy(
    claim: Claim,
    notice: Notice,
    found: PolicyInForce | _NotKnown | _NotInForce,
    cause: Cause,
    reason: str,
    told: tuple[Output, ...],
) -> Decision:
    """The claim registered under the policy found, waiting for it, or not accepted."""
    if isinstance(found, _NotKnown):
        return _wait_for_policy(claim, notice, found, cause, reason, told)
    if isinstance(found, _NotInForce):
        return _not_accepted(claim, found.why, cause, reason, told)
    if not LINES[notice.line].covered(notice, found):
        why = f"policy {found.number} has no cover for what was damaged: {', '.join(notice.damaged)}"
        return _not_accepted(claim, why, cause, reason, told)
    reason = f"{reason}; policy {found.number} version {found.version} was in force at the time of the loss"
    text = f"Claim {claim.number}: your claim is registered (立案) under policy {found.number}."
    claim, registered = notices.tell(claim, NoticeKind.REGISTERED, "", text, cause, reason)
    return advance(replace(claim, policy=found), cause, "intake.registered", reason, (*told, *registered))


def _wait_for_policy(
    claim: Claim, notice: Notice, found: _NotKnown, cause: Cause, reason: str, told: tuple[Output, ...]
) -> Decision:
    task = Task(kind=found.kind, addressee=found.addressee, opened=cause.ref, about=found.why)
    reason = f"{reason}; {found.why}"
    if notice.policy_number is not None and found.addressee == "underwriting":
        wanted = PolicyWanted(policy_number=notice.policy_number, claim=claim.number, at_ms=cause.at_ms)
        ask = Output("hub.policy-wanted.v1", notice.policy_number, wanted, "intake.policy-wanted", reason)
        told = (*told, ask)
    return Decision(replace(claim, policy=None, open_tasks=(task,)), "intake.reported", reason, told)


def _not_accepted(claim: Claim, why: str, cause: Cause, reason: str, told: tuple[Output, ...]) -> Decision:
    claim = replace(claim, policy=None).decided(Outcome.NOT_ACCEPTED)
    text = (
        f"Claim {claim.number}: we cannot accept it (不予受理): {why}. If the time of the loss or the policy number is "
        "wrong, or another insurer covers the loss, report the loss again with the right data or to that insurer."
    )
    claim, refused = notices.tell(claim, NoticeKind.NOT_ACCEPTED, "", text, cause, why)
    return Decision(claim, "intake.not-accepted", f"{reason}; not accepted: {why}", (*told, *refused))


def _check_line(record: LossNotice, before: Notice | None) -> None:
    if record.line not in LINES:
        raise Dead("unknown-line", f"line: there is no such line of business; there are {', '.join(LINES)}")
    if before is not None and before.line != record.line:
        raise Dead("other-line", f"line: the claim is a {before.line} claim; report the loss under a new claim number")
    facts.check(LINES[record.line].product, record)


def _missing_facts(record: LossNotice) -> _NotKnown | None:
    missing = facts.missing(LINES[record.line].product, record)
    return _NotKnown("reporting", f"the notice lacks {', '.join(missing)}", TaskKind.FACTS) if missing else None


def _other_insured(policy: Policy, notice: Notice) -> str | None:
    """What the policy insures that is not what the notice is about."""
    if policy.line != notice.line:
        return "line of business"
    if notice.plate is not None and policy.plate != notice.plate and (policy.vin is None or policy.vin != notice.vin):
        return "vehicle"
    return facts.other_insured(LINES[notice.line].product, notice.facts, policy.facts)


def _repeats(record: LossNotice, seen: Lookups) -> dict[str, tuple[int, str]]:
    product = LINES[record.line].product
    return repeats.repeats(seen, product.terms_at(record.loss_at_ms).risk, record.notified_at_ms, product.calendar)


def _kept(record: LossNotice, before: Notice | None, repeated: dict[str, tuple[int, str]]) -> Notice:
    """What decisions need of the notice, and whether the account differs from the one an earlier notice named."""
    another_account = before is not None and before.payee != record.payee
    return Notice(
        line=record.line,
        policy_number=record.policy_number,
        plate=record.plate,
        vin=record.vin,
        loss_at_ms=record.loss_at_ms,
        notified_at_ms=record.notified_at_ms,
        place=record.place,
        cause=record.cause,
        fault=record.fault,
        injury=record.injury,
        damaged=record.damaged,
        estimated_loss_minor=record.estimated_loss_minor,
        currency=record.currency,
        photos=len(record.photos),
        reporter_name=record.reporter_name,
        reporter_phone=record.reporter_phone,
        payee=record.payee,
        payee_changed=another_account or (before is not None and before.payee_changed),
        account_version=(1 if before is None else before.account_version) + another_account,
        facts=record.facts,
        repeats=repeated,
    )

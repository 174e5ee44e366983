"""What underwriting is asked about a policy's clauses: a cause the cover does not name, and a version issued after the
loss that begins before it (domain: route plan)."""

from collections.abc import Iterator
from typing import Final

from schemas.records import Policy
from streams.rules.claim import Claim, PolicyInForce, TaskKind
from streams.rules.derived import derived_id
from streams.rules.line import LineRules, Registered, Wanted

CAUSE: Final = "cause"
VERSION: Final = "version"


def query_id(claim: str, policy: str, question: str) -> str:
    """The id of a question about a policy's clauses, the same whenever it is derived."""
    return derived_id("CQ", claim, policy, question)


def questions(claim: Registered, line: LineRules) -> Iterator[str]:
    """What the data does not decide, answered or not: what it is about, and which."""
    if claim.policy.issued_after_loss:
        yield f"{VERSION} {claim.policy.version}"
    for damaged in line.covered(claim.notice, claim.policy) if claim.terms.causes else ():
        causes = claim.terms.causes.get(line.covers[damaged])
        if causes is not None and claim.notice.cause not in causes:
            yield f"{CAUSE} {claim.notice.cause}"
            return


def awaited(claim: Registered, line: LineRules) -> Iterator[Wanted]:
    """Underwriting's answers that are still missing."""
    for question in questions(claim, line):
        if claim.claim.clause(question) is None:
            yield Wanted(TaskKind.CLAUSE_QUERY, "underwriting", question)


def refusal(claim: Registered, line: LineRules) -> str | None:
    """Why nothing is insured, as underwriting says; None when it did not say so."""
    for question in questions(claim, line):
        answer = claim.claim.clause(question)
        if answer is not None and not answer.covered:
            return f"underwriting says that policy {claim.policy.number} does not insure the {question}"
    return None


def holding(claim: Claim, policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
    """The policy versions without those that do not hold for this loss, as underwriting says."""
    if not claim.clauses:
        return policies
    return tuple([it for it in policies if not _denied(claim, it)])


def _denied(claim: Claim, policy: Policy) -> bool:
    answer = claim.clause(f"{VERSION} {policy.version}")
    return answer is not None and answer.policy == policy.policy_number and not answer.covered


def asked(claim: Claim, policy: PolicyInForce, query: str) -> str | None:
    """The question a query id is about, open or answered before; None when it was never asked."""
    open_now = [task.about for task in claim.open_tasks if task.kind is TaskKind.CLAUSE_QUERY]
    for question in (*open_now, *(answer.question for answer in claim.clauses)):
        if query_id(claim.number, policy.number, question) == query:
            return question
    return None

"""What underwriting says to a clause query, in time or late; a later version of an answer replaces an earlier one."""

from typing import Final

from msgspec.structs import replace

from schemas.records import ClauseAnswer
from streams.outcomes import Dead
from streams.rules import clocks, intake
from streams.rules.admission import undecided
from streams.rules.claim import Claim, ClauseAnswered, ClockKind, Notice
from streams.rules.clause import VERSION, asked
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.progress import advance

ANSWERED: Final = "clause.answered"


def on_clause_answer(claim: Claim, answer: ClauseAnswer, cause: Cause, seen: Lookups) -> Decision:
    """Take underwriting's answer. Covered, the claim goes on; not covered, its rejection is proposed to a handler; a
    policy version that does not hold gives way to the one before it.

    Raises Park until the claim is registered, Dead `no-query` for what was not asked, `version-conflict` for a version
    of the answer that is known with other content, and `too-late` once the claim is decided.
    """
    notice, policy = undecided(claim, "the clause answer")
    question = asked(claim, policy, answer.query_id)
    if question is None or answer.policy_number != policy.number:
        raise Dead("no-query", "query_id: underwriting was not asked about the claim's policy under this id")
    known = claim.clause(question)
    if known is not None and answer.version < known.version:
        reason = f"answer {answer.version} on the {question} came after answer {known.version}"
        return Decision(claim, "clause.older-answer", reason, noted=True)
    if known is not None and answer.version == known.version:
        if answer.covered is not known.covered:
            raise Dead("version-conflict", f"version: answer {answer.version} is already known with other content")
        return Decision(claim, "clause.known-answer", f"answer {answer.version} is already known", noted=True)
    kept = ClauseAnswered(question=question, policy=policy.number, version=answer.version, covered=answer.covered)
    others = (it for it in claim.clauses if it.question != question)
    claim = replace(claim, clauses=tuple(sorted((*others, kept), key=lambda one: one.question)))
    reason = f"underwriting's answer {answer.version}: the {question} is {'' if answer.covered else 'not '}covered"
    reason = f"{reason}{_late(claim, notice, question, cause)}"
    if question.startswith(VERSION):
        found = intake.policy_for(claim, notice, policy.number, seen)
        return intake.with_policy(claim, notice, found, cause, reason, ())
    return advance(claim, cause, ANSWERED, reason)


def _late(claim: Claim, notice: Notice, question: str, cause: Cause) -> str:
    for clock in claim.clocks:
        if (clock.kind, clock.about) == (ClockKind.CLAUSE_QUERY, question) and cause.at_ms >= clock.due_at_ms:
            return f", late: it was due by the end of {clocks.due_day(clock, notice)}"
    return ""
